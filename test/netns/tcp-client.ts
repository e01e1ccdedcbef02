// A TCP client of the shell, for tests that also ask whether nobody answers.

/** A command that connects, then runs `exchange` with the connection as descriptor 3; it ends after `waitSeconds` in any case. These count
    from when bash runs: a busy machine can take longer than that to start it, and then no packet would have been sent. */
export function tcpClient(addr: string, port: number, exchange: string, waitSeconds = 0.5): string {
  const limit = `{ sleep ${waitSeconds}; kill -9 $$; } >/dev/null 2>&1 &`
  return `bash -c '${limit} exec 3<>/dev/tcp/${addr}/${port} && { ${exchange}; }; kill $!' 2>/dev/null || true`
}
