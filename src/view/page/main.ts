// The page's script: reads what the page holds, and draws it.
import type { HostData, PageData } from "../page-data.ts";
import { button, choice, el, fill, section, type Child } from "./dom.ts";
import { deviceModel, type DeviceModel } from "./device-model.ts";
import { DeviceView } from "./device-view.ts";
import { FlightView } from "./flight-view.ts";
import { HostView } from "./host-view.ts";

const holder = document.getElementById("data");
const data = JSON.parse(holder?.textContent ?? "") as PageData;
const main = document.querySelector("main")!;
const contents = document.querySelector("nav ul")!;
const models = new Map<number, DeviceModel>();

function modelOf(index: number): DeviceModel {
  let model = models.get(index);
  if (!model) models.set(index, (model = deviceModel(data.devices[index]!)));
  return model;
}

const place = el("div", {});
let view: DeviceView | undefined;
let flight: FlightView | undefined;
let left = 0;
let right: number | undefined;

function showDevices(): void {
  if (data.devices.length === 0) return;
  const others = right === undefined ? [] : [modelOf(right)];
  view = new DeviceView([modelOf(left), ...others], left === 0 ? flight : undefined);
  fill(place, chooser(), view.element);
  if (left === 0) flight?.again();
  listContents();
}

/** Which device is shown, and which beside it. */
function chooser(): Child {
  if (data.devices.length < 2) return undefined;
  const names = data.devices.map(
    ({ name, source }, index) => [String(index), data.host ? name : `${name}, ${source}`] as const,
  );
  return el(
    "div",
    { class: "bar", role: "group", "aria-label": "Devices" },
    choice("Device", names, String(left), (value) => {
      left = Number(value);
      showDevices();
    }),
    choice("Beside it", [["", "none"], ...names], right === undefined ? "" : String(right), (value) => {
      right = value === "" ? undefined : Number(value);
      showDevices();
    }),
  );
}

function listContents(): void {
  const sections = [...main.querySelectorAll("section")];
  fill(
    contents,
    sections.map(({ id, firstElementChild }) =>
      el("li", {}, el("a", { href: `#${id}` }, firstElementChild?.textContent ?? id)),
    ),
  );
}

function hostSection(host: HostData): HTMLElement {
  const open = (bdf: string): Child => {
    const index = data.devices.findIndex(({ name }) => name === bdf);
    if (index < 0) return undefined;
    return button("Its registers", () => {
      left = index;
      showDevices();
      place.scrollIntoView();
    });
  };
  return section("host", "Host", new HostView(host, open).element);
}

function theme(): HTMLElement {
  return choice(
    "Colours",
    [
      ["", "as the system"],
      ["light", "light"],
      ["dark", "dark"],
    ],
    "",
    (value) => {
      if (value === "") delete document.documentElement.dataset["theme"];
      else document.documentElement.dataset["theme"] = value;
      dispatchEvent(new Event("resize"));
    },
  );
}

async function start(): Promise<void> {
  const tools = document.querySelector("header .tools")!;
  tools.append(theme());
  if (data.live) tools.append(button("Read again", () => location.reload()));
  if (data.host) main.append(hostSection(data.host));
  if (data.flight) {
    const model = data.devices.length > 0 ? modelOf(0) : undefined;
    flight = await FlightView.open(data.flight, model, (point) => view?.move(point));
    main.append(section("recording", "Recording", flight.element));
  }
  // On two devices given, both are shown.
  if (data.devices.length === 2 && !data.host && !data.flight) right = 1;
  if (data.host)
    left = Math.max(
      0,
      data.devices.findIndex(({ noGuest }) => noGuest === undefined),
    );
  main.append(place);
  showDevices();
  listContents();
  document.documentElement.dataset["ready"] = "true";
}

start().catch((error: unknown) => {
  main.append(el("p", { class: "bad", role: "alert" }, `The page cannot be shown: ${String(error)}`));
  document.documentElement.dataset["ready"] = "failed";
});
