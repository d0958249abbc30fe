// Loads entry points and ends: `bun import.ts PATH...`. With none it costs what an empty program does.
await Promise.all(process.argv.slice(2).map((path) => import(path)));
process.exit(0);
