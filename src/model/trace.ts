// The words in which all parts speak of a traced packet. Pure.
export * from '#/wire/bpf/trace-words.ts'
