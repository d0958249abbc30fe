// Tables of the kernel's constants: plain frozen objects that remember their C names.

type Values = Readonly<Record<string, number | bigint>>;
/** How the C names of a table are built: prefix + key + suffix. */
export interface UapiName {
  /** What all names of the group begin with. */
  readonly prefix: string;
  /** What they end with. */
  readonly suffix: string;
}

const names = new WeakMap<Values, UapiName>();

/**
 * A frozen table of constants. The key of each is the C name without the prefix and suffix that its table shares.
 * @param prefix as `VFIO_REGION_INFO_FLAG_`
 * @param suffix as `_REGION_INDEX`
 */
export function constants<const Table extends Values>(
  prefix: string,
  table: Table,
  suffix = "",
): Readonly<Table> {
  names.set(table, { prefix, suffix });
  return Object.freeze(table);
}

/** How the C names of a table that `constants` made are built; undefined for any other object. */
export const uapiName = (table: object): UapiName | undefined => names.get(table as Values);
