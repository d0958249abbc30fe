// Completion for zsh: a file _bun-vfio in $fpath, or source <(bun-vfio completion zsh).
import { deviceFolders, type CompletedCommand, type CompletedOption, type Values } from "./model.ts";

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** Text where brackets and colons have a meaning of their own. */
const plain = (text: string): string => text.replace(/[[\]:\\]/g, "\\$&");

function action(values: Values): string {
  if (values === undefined) return " ";
  if (values === "files") return "_files";
  if (values === "devices") return "_bun_vfio_devices";
  if (values === "both") return "_bun_vfio_devices_or_files";
  return `(${values.join(" ")})`;
}

function specs({ flags, description, takesValue, values }: CompletedOption): string[] {
  return flags.map((flag) =>
    quote(`*${flag}[${plain(description)}]${takesValue ? `:value:${action(values)}` : ""}`),
  );
}

/** A script that defines the completion. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const described = commands.map(({ name, description }) =>
    quote(`${plain(name)}:${description.replaceAll("\\", "")}`),
  );
  const cases = commands.map(({ name, options, values }) => {
    const lines = [
      ...options.flatMap(specs),
      ...(values === undefined ? [] : [quote(`*:argument:${action(values)}`)]),
    ];
    return `        ${name}) _arguments ${lines.join(" ")} ;;`;
  });
  return `#compdef bun-vfio
# Completion of bun-vfio for zsh: a file _bun-vfio in $fpath, or source <(bun-vfio completion zsh)
_bun_vfio_devices() {
  local -a devices
  devices=(${deviceFolders.map((folder) => `${folder}/*(N:t)`).join(" ")})
  compadd -a devices
}
_bun_vfio_devices_or_files() {
  _bun_vfio_devices
  _files
}
_bun_vfio() {
  local curcontext="$curcontext" state line
  local -a commands
  _arguments -C '1:command:->command' '*::argument:->arguments'
  case $state in
    command)
      commands=(${described.join(" ")})
      _describe command commands
      ;;
    arguments)
      case $line[1] in
${cases.join("\n")}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _bun-vfio ]]; then _bun_vfio "$@"; else compdef _bun_vfio bun-vfio; fi
`;
}
