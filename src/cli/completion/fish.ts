// Completion for fish: bun-vfio completion fish | source.
import { deviceFolders, type CompletedCommand, type CompletedOption, type Values } from "./model.ts";

const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** What may come, as options of `complete`. */
function offered(values: Values): string {
  if (values === undefined) return "";
  if (values === "files") return " -F";
  if (values === "devices") return " -a '(__bun_vfio_devices)'";
  if (values === "both") return " -F -a '(__bun_vfio_devices)'";
  return ` -a ${quote(values.join(" "))}`;
}

/** A value that is a file, or nothing of the kind. */
const valueText = ({ takesValue, values }: CompletedOption): string =>
  takesValue ? ` ${values === "files" || values === "both" ? "-r" : "-x"}${offered(values)}` : "";

/** A script that defines the completion. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, description, options, values }) => {
    const seen = `complete -c bun-vfio -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c bun-vfio -n __fish_use_subcommand -a ${name} -d ${quote(description)}`,
      ...(values === undefined ? [] : [`${seen}${offered(values)}`]),
      ...options.map((option) => {
        const flags = option.flags.map((flag) =>
          flag.startsWith("--") ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`,
        );
        return `${seen}${flags.join("")}${valueText(option)} -d ${quote(option.description)}`;
      }),
    ];
  });
  return `# Completion of bun-vfio for fish: bun-vfio completion fish | source
function __bun_vfio_devices
    for path in ${deviceFolders.map((folder) => `${folder}/*`).join(" ")}
        path basename $path 2>/dev/null; or basename $path
    end
end
complete -c bun-vfio -f
${lines.join("\n")}
`;
}
