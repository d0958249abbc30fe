// The machines of a run: the project's own, or those of a module that it was given.
import { resolve } from "node:path";
import { architectures, kernelSuites, machines as ownMachines, type Machine } from "../machines.ts";
import type { Options } from "./options.ts";
import { iommuNames } from "./iommus.ts";

export interface Chosen {
  readonly machines: readonly Machine[];
  /** Names of all that there are. */
  readonly all: readonly string[];
}

/** @throws Error for a module without machines, or a machine that there is not */
export async function chosenMachines({ machines, machine }: Options): Promise<Chosen> {
  const all = machines === undefined ? ownMachines : await readMachines(resolve(machines));
  const names = all.map(({ name }) => name);
  const unknown = machine?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new Error(`there is no machine "${unknown}": there are ${names.join(", ")}`);
  return { machines: all.filter(({ name }) => machine?.includes(name) ?? true), all: names };
}

async function readMachines(file: string): Promise<readonly Machine[]> {
  const { machines } = (await import(file)) as { readonly machines?: readonly Machine[] };
  if (!Array.isArray(machines)) throw new Error(`${file} exports no array \`machines\``);
  for (const { name, iommu, devices, arch = "x86-64", kernel = "trixie" } of machines as readonly Machine[]) {
    if (typeof name !== "string" || !/^[\w.-]+$/.test(name))
      throw new Error(`${file}: the name of a machine is letters, digits and "-", not ${Bun.inspect(name)}`);
    const oneOf = (what: string, value: string, values: readonly string[]): void => {
      if (!values.includes(value))
        throw new Error(
          `${file}: ${name}: ${what} is one of ${values.join(", ")}, not ${Bun.inspect(value)}`,
        );
    };
    oneOf("iommu", iommu, iommuNames);
    oneOf("arch", arch, architectures);
    oneOf("kernel", kernel, kernelSuites);
    if (typeof devices !== "object" || devices === null)
      throw new Error(`${file}: ${name} has no \`devices\``);
  }
  return machines;
}
