// `causeway completion`: a script for the shell, from the same declarations as parsing and help.
import { noMore, type OptionDeclaration, options, UsageError } from './args.ts'
import { type Action, type Command, type Group } from './command.ts'
import { print } from './output.ts'

type CompletedOption = OptionDeclaration & { readonly name: string }

/** A place in the command line, and what may follow there. */
export type Place = {
  /** "" for the program itself, " lab up" for an action. */
  readonly path: string
  readonly verbs: readonly { readonly name: string; readonly summary: string }[]
  readonly options: readonly CompletedOption[]
}

const helpOption: CompletedOption = { name: 'help', type: 'boolean', help: 'help on this' }

/** All places of a command, itself first, without hidden commands. */
export async function placesOf(command: Command, path = ''): Promise<Place[]> {
  if (!('verbs' in command)) return [{ path, verbs: [], options: completedOptions(command) }]
  const loaded = await Promise.all(Object.values(command.verbs).map(async (load) => load()))
  const shown = loaded.filter(({ isHidden }) => !isHidden)
  const below = await Promise.all(shown.map(async (verb) => placesOf(verb, `${path} ${verb.name}`)))
  const verbs = shown.map(({ name, summary }) => ({ name, summary }))
  const own = command.bare ? completedOptions(command.bare) : [helpOption]
  return [{ path, verbs, options: own }, ...below.flat()]
}

function completedOptions({ options: all }: Action): CompletedOption[] {
  const named = Object.entries(all).flatMap(([name, declaration]) => [
    { ...declaration, name },
    ...(declaration.alias === undefined ? [] : [{ ...declaration, name: declaration.alias }]),
  ])
  return [...named, helpOption]
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** The paths of all places below the program itself, which comes first. */
function quotedPaths(places: readonly Place[]): string[] {
  return places.slice(1).map(({ path }) => quoted(path))
}

function isPath({ value }: OptionDeclaration): boolean {
  return value === 'FILE' || value === 'DIR'
}

function wordsOf({ verbs, options: all }: Place): string {
  return [...verbs.map(({ name }) => name), ...all.map(({ name }) => `--${name}`)].join(' ')
}

/** The code that bash and zsh share: `$path` is the place, `$option` the option that the word before belongs to. */
function cases(
  places: readonly Place[],
  give: { words: (place: Place) => string; values: (option: CompletedOption) => string },
): { words: string[]; values: string[] } {
  return {
    words: places.map((place) => `    ${quoted(place.path)}) ${give.words(place)} ;;`),
    values: places.flatMap(({ path, options: all }) =>
      all
        .filter(({ type }) => type === 'string')
        .map((option) => `    ${quoted(`${path} --${option.name}`)}) ${give.values(option)}; return ;;`),
    ),
  }
}

function bash(places: readonly Place[]): string {
  const { words, values } = cases(places, {
    words: (place) => `COMPREPLY=($(compgen -W ${quoted(wordsOf(place))} -- "$cur"))`,
    values: (option) =>
      option.choices
        ? `COMPREPLY=($(compgen -W ${quoted(option.choices.join(' '))} -- "$cur"))`
        : isPath(option)
          ? 'COMPREPLY=($(compgen -f -- "$cur"))'
          : 'COMPREPLY=()',
  })
  return `# bash completion of causeway; use it with: source <(causeway completion bash)
_causeway() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path='' i
  # bash takes the = of --option=value for a word of its own
  if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${quotedPaths(places).join(' | ')}) path="$path \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $prev" in
${values.join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
}
complete -o bashdefault -F _causeway causeway`
}

function zsh(places: readonly Place[]): string {
  const entry = (name: string, help: string): string => quoted(`${name.replaceAll(':', String.raw`\:`)}:${help}`)
  const { words, values } = cases(places, {
    words: ({ verbs, options: all }) =>
      `entries=(${[...verbs.map(({ name, summary }) => entry(name, summary)), ...all.map(({ name, help }) => entry(`--${name}`, help))].join(' ')})`,
    values: (option) =>
      option.choices ? `compadd -- ${option.choices.map(quoted).join(' ')}` : isPath(option) ? '_files' : ':',
  })
  return `#compdef causeway
# zsh completion of causeway; use it with: source <(causeway completion zsh), after compinit
_causeway() {
  local at='' i
  local -a entries
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${quotedPaths(places).join(' | ')}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  _describe causeway entries || _files
}
compdef _causeway causeway`
}

function fish(places: readonly Place[]): string {
  const all = quotedPaths(places).join(' ')
  const lines = places.flatMap(({ path, verbs, options: own }) => {
    const here = `complete -c causeway -n ${quoted(`__causeway_at ${quoted(path)}`)}`.replaceAll(String.raw`'\''`, '"')
    return [
      ...verbs.map(({ name, summary }) => `${here} -f -a ${name} -d ${fishQuoted(summary)}`),
      ...own.map((option) => {
        const value =
          option.type === 'boolean'
            ? ''
            : option.choices
              ? ` -x -a ${quoted(option.choices.join(' '))}`
              : isPath(option)
                ? ' -r -F'
                : ' -x'
        return `${here} -l ${option.name}${value} -d ${fishQuoted(option.help)}`
      }),
    ]
  })
  return `# fish completion of causeway; use it with: causeway completion fish | source
function __causeway_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" ${all}
      set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`
}

const shells = { bash, zsh, fish } as const

/** The script for a shell. */
export function completionScript(shell: keyof typeof shells, places: readonly Place[]): string {
  return shells[shell](places)
}

const shellNames = Object.keys(shells).join(', ')

export function completionCommand(root: Group): Action {
  return {
    name: 'completion',
    summary: 'print a script that completes commands and options in a shell',
    operands: 'bash|zsh|fish',
    about: `bash: source <(causeway completion bash)
zsh:  source <(causeway completion zsh), after compinit
fish: causeway completion fish | source`,
    options: {},
    run: async (args) => {
      const [shell, ...rest] = options(args, {}).positionals
      noMore(rest)
      const wanted = (Object.keys(shells) as (keyof typeof shells)[]).find((each) => each === shell)
      if (wanted === undefined)
        throw new UsageError(`completion ${shell ?? ''}: expected ${shellNames}, such as: causeway completion bash`)
      print(completionScript(wanted, await placesOf(root)))
      return 0
    },
  }
}
