// Completion for bash: eval "$(bun-vfio completion bash)".
import { deviceFolders, type CompletedCommand, type Values } from "./model.ts";

const quoted = (words: readonly string[]): string => `'${words.join(" ").replaceAll("'", "'\\''")}'`;

/** Sets `list` and `files`. */
function assign(values: Values): string {
  if (values === undefined) return "list=";
  if (values === "files") return "files=1";
  if (values === "devices") return "list=$(_bun_vfio_devices)";
  if (values === "both") return "list=$(_bun_vfio_devices) files=1";
  return `list=${quoted(values)}`;
}

/** A script that defines the completion. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(({ name, options, values }) => {
    const taking = options.filter(({ takesValue }) => takesValue);
    const byOption = taking.map((one) => `          ${one.flags.join("|")}) ${assign(one.values)} ;;`);
    return `    ${name})
      if [[ $cur == -* ]]; then
        list=${quoted(options.flatMap(({ flags }) => flags))}
      else
        case $prev in
${[...byOption, `          *) ${assign(values)} ;;`].join("\n")}
        esac
      fi
      ;;`;
  });
  return `# Completion of bun-vfio for bash: eval "$(bun-vfio completion bash)"
_bun_vfio_devices() {
  local path
  for path in ${deviceFolders.map((folder) => `${folder}/*`).join(" ")}; do
    [[ -e $path ]] && printf '%s\\n' "\${path##*/}"
  done
}
_bun_vfio() {
  # Bash cuts words at colons, which BDFs have: the line is cut here.
  local line=\${COMP_LINE:0:COMP_POINT} cur= prev= command= list= files= word
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  cur=\${words[\${#words[@]} - 1]}
  ((\${#words[@]} > 1)) && prev=\${words[\${#words[@]} - 2]}
  for word in "\${words[@]:1:\${#words[@]} - 2}"; do
    [[ $word != -* ]] && command=$word && break
  done
  case $command in
${cases.join("\n")}
    *) list=${quoted(commands.map(({ name }) => name))} ;;
  esac
  COMPREPLY=()
  [[ -n $list ]] && while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$list" -- "$cur")
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
  fi
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=\${cur%"\${cur##*:}"} index
    for index in "\${!COMPREPLY[@]}"; do COMPREPLY[index]=\${COMPREPLY[index]#"$before"}; done
  fi
}
complete -F _bun_vfio bun-vfio
`;
}
