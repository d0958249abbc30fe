// Examples of each command: below its --help, and in the manual page.

/** A line to type, and what it does. */
export type Example = readonly [line: string, what: string];

export const examples: Readonly<Record<string, readonly Example[]>> = {
  ls: [
    ["bun-vfio ls", "every PCI device, and whether it can be passed through"],
    ["bun-vfio ls 02 --verdict bindable", "network cards that can be bound"],
    ["bun-vfio ls --tree eth0", "where an interface's device sits"],
  ],
  groups: [["bun-vfio groups eth0", "who else is in its IOMMU group"]],
  doctor: [
    ["bun-vfio doctor", "what this host lacks"],
    ["bun-vfio doctor nvme0n1 --memory 4G", "what one device lacks for a guest of 4 GiB"],
  ],
  record: [["bun-vfio record 01:00.0 -o card.json", "an image of a device, for tests without it"]],
  bind: [
    ["bun-vfio bind 01:00.0 --dry-run", "the writes to sysfs, and none of them done"],
    ["bun-vfio bind 01:00.0 --undo-file undo.json", "bind it, and be able to go back"],
    ["bun-vfio bind 8086:10c9 --group --persist", "with its IOMMU group, at each start too"],
  ],
  unbind: [["bun-vfio unbind 01:00.0", "give it back to the host, for good"]],
  undo: [["bun-vfio undo undo.json", "back to what was before the bind"]],
  show: [
    ["bun-vfio show images/nvme.json", "the registers of a recorded device"],
    ["bun-vfio show -v 01:00.0", "of one of this host, every register"],
  ],
  diff: [["bun-vfio diff 01:00.0 card.json", "what has changed since it was recorded"]],
  import: [["lspci -xxxx > host.txt; bun-vfio import host.txt -o host", "an image of each device of a dump"]],
  export: [["bun-vfio export card.json -o card.txt; lspci -F card.txt", "for lspci to read"]],
  replay: [
    ["bun-vfio replay images/igb.json test/traces/igb.txt", "a guest's accesses, on a recorded device"],
    ["bun-vfio replay card.flight", "what a flight recorder kept, on the model of today"],
  ],
  trace: [
    ["bun-vfio trace card.flight --why", "what nothing answered, what failed, and what set it off"],
    ["bun-vfio trace card.flight --bar 0 --slow 50us", "accesses of BAR 0 that took long"],
  ],
  view: [
    ["bun-vfio view card.flight -o card.html", "a recording as a time line, with the state at each point"],
    ["bun-vfio view images/nvme.json images/igb.json -o two.html", "two devices beside each other"],
    ["bun-vfio view host --serve", "this host in a browser, until Ctrl-C"],
  ],
  serve: [
    ["bun-vfio serve images/nvme.json --socket nvme.sock", "a recorded device, for a guest of QEMU"],
    ["bun-vfio serve 0000:01:00.0 --socket card.sock --trace", "a real one, with each access"],
  ],
  completion: [
    ['eval "$(bun-vfio completion bash)"', "in ~/.bashrc"],
    ["bun-vfio completion zsh > ~/.zfunc/_bun-vfio", "where ~/.zfunc is in fpath"],
    ["bun-vfio completion fish > ~/.config/fish/completions/bun-vfio.fish", "for every fish to come"],
  ],
  man: [["bun-vfio man | man -l -", "read the manual page"]],
};

/** Lines for --help; none where there is no example. */
export function exampleText(command: string): string {
  const known = examples[command] ?? [];
  if (known.length === 0) return "";
  return `\nExamples:\n${known.map(([line, what]) => `  ${line}\n      ${what}`).join("\n")}`;
}
