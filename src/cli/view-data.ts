// What a page shows of what the user named: files, devices of this host, or all of it.
import { existsSync } from "node:fs";
import { flightSize, isFlight } from "../device/replay/flight-format.ts";
import { readFlight } from "../device/replay/read-flight.ts";
import { recordFromSysfs } from "../device/host/sysfs-recorder.ts";
import { VfioError } from "../ffi/errors.ts";
import { ImageError } from "../image/error.ts";
import { deviceData } from "../view/device-data.ts";
import { flightData, maxPageEntries } from "../view/flight-data.ts";
import type { DeviceData, Fact, FlightData, PageData } from "../view/page-data.ts";
import { FileSource, inputName } from "./byte-source.ts";
import { CliError } from "./failure.ts";
import { readHostState, type HostState } from "./host.ts";
import { bdfArgument, isLive, openInput, readInput, type Input, type InputDevice } from "./input.ts";
import { tell } from "./output.ts";
import type { FileData, ReadFile } from "./view-memory.ts";
import { noteSkipped } from "./skipped-note.ts";
import { hostData } from "./view-host.ts";

/** Devices that one page takes: a browser decodes all of them. */
const maxDevices = 256;

/**
 * @param words files, devices of this host, or `host`
 * @param device the BDF to take of a dump
 * @param read how a file is read
 * @throws CliError that names what cannot be shown
 */
export function viewData(
  words: readonly string[],
  device: string | undefined,
  live: boolean,
  read: ReadFile = fileReader(device),
): PageData {
  const page = { made: new Date().toISOString(), live };
  if (words.length === 1 && words[0] === "host" && !existsSync("host")) {
    const state = readHostState();
    return {
      ...page,
      title: "PCI devices of this host",
      host: hostData(state),
      devices: hostDevices(state),
      flight: undefined,
    };
  }
  const devices: DeviceData[] = [];
  let flight: FlightData | undefined;
  for (const word of words) {
    // What is live is asked each time.
    const found =
      word !== "-" && isLive(word)
        ? { devices: devicesOf(openInput(word, device)), flight: undefined }
        : read(new FileSource(word));
    if (!found.flight) devices.push(...found.devices);
    else if (flight) throw new CliError(`${word}: a page shows one recording; make a page of each`);
    else {
      ({ flight } = found);
      devices.unshift(...found.devices);
    }
    if (devices.length > maxDevices)
      throw new CliError(`${word}: more than ${maxDevices} devices for one page; choose with --device`);
  }
  const title = `${devices[0]?.name ?? flight?.name ?? ""}${devices.length > 1 ? ` and ${devices.length - 1} more` : ""}`;
  return { ...page, title, host: undefined, devices, flight };
}

/** Reads a file that a page is to show, whatever it is. @param device the BDF to take of a dump @throws CliError */
export function fileReader(device: string | undefined): ReadFile {
  const wanted = device === undefined ? undefined : bdfArgument(device);
  return (source): FileData => {
    using file = source;
    if (!isFlight(file.head().bytes))
      return { devices: devicesOf(readInput(file, wanted)), flight: undefined };
    const name = inputName(file.path);
    const bytes = file.all(flightSize(maxPageEntries), "a recording that a page takes");
    const { flight, device: traced } = flightData(bytes, readFlight(bytes, name), name);
    return { flight, devices: traced ? [traced] : [] };
  };
}

const sources: Readonly<Record<Input["kind"], string>> = {
  image: "an image",
  lspci: "the output of lspci",
  config: "a raw config space",
  sysfs: "this host",
};

function devicesOf(input: Input): DeviceData[] {
  const devices: DeviceData[] = [];
  const left: string[] = [];
  for (const device of input.devices) {
    if (devices.length === maxDevices)
      throw new CliError(`${input.path}: more than ${maxDevices} devices; choose one with --device`);
    if (device.noImage === undefined) devices.push(dataOf(device, input));
    else left.push(`${device.bdf}: ${device.noImage}`);
  }
  noteSkipped(input);
  if (left.length > 0 && devices.length === 0) throw new CliError(`${input.path}: ${left[0]}`);
  if (left.length > 0)
    tell(
      `note: ${input.path}: ${left.length} device${left.length === 1 ? " is" : "s are"} not shown, first ${left[0]}`,
    );
  return devices;
}

function dataOf({ bdf, image, place }: InputDevice, { path, kind }: Input): DeviceData {
  const { kernel, iommu, driver, notes = [] } = image.host;
  const facts: readonly (readonly [string, string | number | undefined])[] = [
    ["Kernel", kernel],
    ["IOMMU", iommu],
    ["Driver", driver],
    ["IOMMU group", place?.iommuGroup],
    ["NUMA node", place?.numaNode],
    ...notes.map((note) => ["Note", note] as const),
  ];
  return deviceData(image, {
    name: bdf ?? path,
    source: kind === "sysfs" ? sources.sysfs : `${path}: ${sources[kind]}`,
    facts: facts.flatMap(([label, text]): Fact[] => (text === undefined ? [] : [[label, String(text)]])),
  });
}

/** The registers of each function of the host, as far as this process reads them. */
const hostDevices = ({ files, devices }: HostState): DeviceData[] =>
  devices.slice(0, maxDevices).flatMap((device) => {
    try {
      return deviceData(recordFromSysfs(files, device), { name: device.bdf, source: sources.sysfs });
    } catch (error) {
      if (error instanceof VfioError || error instanceof ImageError) return [];
      throw error;
    }
  });
