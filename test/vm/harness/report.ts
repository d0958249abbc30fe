// What the test files left, as one report with true totals.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileText } from "./cache.ts";
import { consoleOf, type End } from "./boot.ts";

export interface Totals {
  readonly tests: number;
  readonly failures: number;
  readonly skipped: number;
}

/** What came of one test file on one machine. */
export interface FileResult extends Totals {
  readonly machine: string;
  readonly file: string;
  /** What is wrong besides failed tests; counts as one more failure. */
  readonly problem: string | undefined;
  /** What is inside of the report's outermost element. */
  readonly suites: string;
  /** What the tests wrote. */
  readonly log: string;
  /** As the report has it. */
  readonly seconds: number;
}

const attribute = (element: string, name: string): number => {
  const value = new RegExp(`\\s${name}="([0-9.]+)"`).exec(element);
  return value ? Number(value[1]) : NaN;
};

/** Totals and content of a JUnit report; undefined where it is none. */
export function readReport(xml: string): (Totals & { suites: string; seconds: number }) | undefined {
  const found = /<testsuites([^>]*)>([\s\S]*)<\/testsuites>/.exec(xml);
  if (!found) return undefined;
  const [, head = "", suites = ""] = found;
  const [tests, failures, skipped, seconds] = ["tests", "failures", "skipped", "time"].map((name) =>
    attribute(head, name),
  ) as [number, number, number, number];
  return [tests, failures, skipped].some(Number.isNaN)
    ? undefined
    : { tests, failures, skipped, seconds: seconds || 0, suites };
}

const textOr = (path: string): string => (existsSync(path) ? fileText(path) : "");

/** What is in `out` of the files of a machine's plan. A machine's own problem is told where it stopped, once. */
export function readResults(machine: string, files: readonly string[], out: string, end: End): FileResult[] {
  let untold = end.problem && `the machine ${end.problem}; the end of its console:\n${tail(out)}`;
  const results = files.map((file, index): FileResult => {
    const path = (ending: string): string => join(out, `${index + 1}.${ending}`);
    const report = readReport(textOr(path("xml")));
    const status = textOr(path("status")).trim();
    let problem: string | undefined;
    if (status === "") {
      problem = untold ?? "it was not run";
      untold = undefined;
    } else if (status === "137") problem = "it took too long, or was killed";
    else if (!report) problem = `it left no report, and exited with ${status}`;
    else if (report.tests === 0) problem = "it holds no test";
    else if (status !== "0" && report.failures === 0)
      problem = `it exited with ${status}, though no test failed`;
    const totals = report ?? { tests: 0, failures: 0, skipped: 0, suites: "", seconds: 0 };
    return { machine, file, problem, log: textOr(path("log")), ...totals };
  });
  if (untold)
    results.push({
      ...{ machine, file: "its end", problem: untold, log: "", suites: "", seconds: 0 },
      ...nothing,
    });
  return results;
}

const nothing: Totals = { tests: 0, failures: 0, skipped: 0 };

const tail = (out: string): string =>
  textOr(consoleOf(out))
    .replaceAll("\r", "")
    .split("\n")
    .slice(-60)
    .map((line) => `    ${line}`)
    .join("\n");

/** A problem counts as a test that failed. */
export function totalsOf(results: readonly FileResult[]): Totals {
  let { tests, failures, skipped } = nothing;
  for (const result of results) {
    const problems = result.problem === undefined ? 0 : 1;
    tests += result.tests + problems;
    failures += result.failures + problems;
    skipped += result.skipped;
  }
  return { tests, failures, skipped };
}

const escaped = (text: string): string => Bun.escapeHTML(text).replace(/[^\t\n\x20-\uFFFD]/g, "");

const element = (name: string, { tests, failures, skipped }: Totals, title: string): string =>
  `<${name} name="${escaped(title)}" tests="${tests}" failures="${failures}" skipped="${skipped}"`;

/** All of it in JUnit's form: a suite for each file of each machine. */
export function mergedReport(results: readonly FileResult[]): string {
  const suites = results.map((result) => {
    const { machine, file, problem } = result;
    const failed =
      problem === undefined
        ? ""
        : `<testcase name="${escaped(file)}"><failure message="${escaped(problem)}" /></testcase>`;
    return `${element("testsuite", totalsOf([result]), `${machine}: ${file}`)}>${result.suites}${failed}</testsuite>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element("testsuites", totalsOf(results), "vm")}>\n${suites.join("\n")}\n</testsuites>\n`;
}
