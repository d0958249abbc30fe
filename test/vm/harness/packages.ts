// What the guest has of a project's packages: their folder, and nothing that a link in it leads to elsewhere.
import { existsSync, lstatSync, readdirSync, realpathSync } from "node:fs";
import { join, relative } from "node:path";

/** Packages that are links out of a tree, as `npm install ../other` makes them, and what they lead to. */
export function linksOut(packages: string, tree: string): [link: string, target: string][] {
  if (!existsSync(packages)) return [];
  const names = readdirSync(packages).flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(packages, name)).map((inner) => join(name, inner)) : [name],
  );
  const root = realpathSync(tree);
  return names.flatMap((name): [string, string][] => {
    const path = join(packages, name);
    if (!lstatSync(path).isSymbolicLink() || !existsSync(path)) return [];
    const target = realpathSync(path);
    return relative(root, target).startsWith("..") ? [[relative(tree, path), target]] : [];
  });
}
