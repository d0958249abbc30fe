// Verdicts for people: one word each, in every command.
import type { DeviceVerdict } from "../device/host/verdict.ts";
import type { Style } from "./style.ts";

/** What a state is called. */
export const verdictWords: Readonly<Record<DeviceVerdict["state"], string>> = {
  ready: "ready",
  bindable: "bindable",
  "in-use": "in use",
  blocked: "blocked",
  bridge: "bridge",
  "no-iommu": "no IOMMU",
};

/** `in use: nvme0n1 is mounted at /`. */
export const verdictText = ({ state, reason }: DeviceVerdict): string =>
  reason === ""
    ? verdictWords[state]
    : `${verdictWords[state]}${state === "in-use" ? ":" : state === "no-iommu" ? ";" : ""} ${reason}`;

const same = (text: string): string => text;

/** How a verdict is marked up. Without an IOMMU nothing is good. */
export const markOf = (
  { state, reason }: Pick<DeviceVerdict, "state" | "reason">,
  style: Style,
): ((text: string) => string) =>
  state === "ready" && reason === ""
    ? style.good
    : state === "blocked"
      ? style.bad
      : state === "bridge"
        ? style.dim
        : same;
