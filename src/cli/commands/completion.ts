/** `glasstcp completion SHELL`: words from the commander tree itself, so that they cannot fall behind. */
import { Argument, type Command } from "commander";
import { print } from "../output.js";

export interface Words {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly flag: string; readonly description: string }[];
  /** Words that may follow: names of subcommands, choices of arguments. */
  readonly words: readonly string[];
}

/** What may be typed after `glasstcp`, per command. */
export function wordsOf(root: Command): Words[] {
  return root.commands.map((command) => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    options: [
      ...command.options.filter((o) => !o.hidden && o.long != null).map((o) => ({ flag: o.long ?? "", description: o.description })),
      { flag: "--help", description: "print help" },
    ],
    words: [...command.commands.map((c) => c.name()), ...command.registeredArguments.flatMap((a) => a.argChoices ?? [])],
  }));
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export function bash(words: readonly Words[]): string {
  const cases = words.map((w) => `    ${w.name}) words=${quote([...w.options.map((o) => o.flag), ...w.words].join(" "))} ;;`);
  return [
    "# bash completion for glasstcp; to load it now: source <(glasstcp completion bash)",
    "_glasstcp() {",
    '  local cur=${COMP_WORDS[COMP_CWORD]} words=""',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    words=${quote([...words.map((w) => w.name), "help", "--help", "--version"].join(" "))}`,
    '  else case "${COMP_WORDS[1]}" in',
    ...cases,
    `    help) words=${quote(words.map((w) => w.name).join(" "))} ;;`,
    "  esac; fi",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -o default -F _glasstcp glasstcp",
  ].join("\n");
}

export function zsh(words: readonly Words[]): string {
  const described = (name: string, text: string): string => quote(`${name.replaceAll(":", "\\:")}:${text}`);
  return [
    "#compdef glasstcp",
    "# zsh completion for glasstcp; to load it now: source <(glasstcp completion zsh)",
    "_glasstcp() {",
    "  local -a words_",
    "  if (( CURRENT == 2 )); then",
    `    words_=(${words.map((w) => described(w.name, w.summary)).join(" ")})`,
    "    _describe command words_",
    "    return",
    "  fi",
    '  case "${words[2]}" in',
    ...words.map((w) => `    ${w.name}) words_=(${[...w.options.map((o) => described(o.flag, o.description)), ...w.words.map(quote)].join(" ")}) ;;`),
    "  esac",
    "  _describe -o option words_ || _files",
    "}",
    'if [ "$funcstack[1]" = "_glasstcp" ]; then _glasstcp "$@"; else compdef _glasstcp glasstcp; fi',
  ].join("\n");
}

export function fish(words: readonly Words[]): string {
  const lines = ["# fish completion for glasstcp; to load it now: glasstcp completion fish | source"];
  for (const w of words) {
    lines.push(`complete -c glasstcp -n __fish_use_subcommand -f -a ${quote(w.name)} -d ${quote(w.summary)}`);
    for (const o of w.options)
      lines.push(`complete -c glasstcp -n ${quote(`__fish_seen_subcommand_from ${w.name}`)} -l ${quote(o.flag.replace(/^--/, ""))} -d ${quote(o.description)}`);
    if (w.words.length > 0) lines.push(`complete -c glasstcp -n ${quote(`__fish_seen_subcommand_from ${w.name}`)} -f -a ${quote(w.words.join(" "))}`);
  }
  return lines.join("\n");
}

const SHELLS = { bash, zsh, fish } as const;

export function register(program: Command): void {
  program
    .command("completion")
    .summary("shell completion for bash, zsh or fish")
    .description("Prints a completion script: every command and option that this version has.")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SHELLS)))
    .addHelpText(
      "after",
      "\nExamples:\n  $ source <(glasstcp completion bash)\n  $ glasstcp completion zsh > ~/.zfunc/_glasstcp\n  $ glasstcp completion fish > ~/.config/fish/completions/glasstcp.fish",
    )
    .action(async (shell: keyof typeof SHELLS) => {
      const { program: tree } = await import("../program.js");
      print(SHELLS[shell](wordsOf(await tree("*"))));
    });
}
