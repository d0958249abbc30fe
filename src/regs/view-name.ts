/** What a field is called in a view: `control` and `enable` give `controlEnable`. */
export const viewName = (register: string, field: string): string =>
  register + field.charAt(0).toUpperCase() + field.slice(1);
