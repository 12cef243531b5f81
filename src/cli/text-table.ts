/** Plain tables for terminals. */

/** Numbers are aligned to the right. */
export type TableCell = string | number;

/** Formats rows under headings: aligned columns, two spaces apart, each line ended. */
export function textTable(headings: readonly string[], rows: readonly (readonly TableCell[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => String(row[column] ?? '').length)),
  );
  const isNumber = headings.map((_unused, column) => rows.some((row) => typeof row[column] === 'number'));
  const lineOf = (cells: readonly TableCell[]): string =>
    headings
      .map((_unused, column) => {
        const text = String(cells[column] ?? '');
        return isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
      })
      .join('  ')
      .trimEnd();
  return `${[headings, ...rows].map(lineOf).join('\n')}\n`;
}

/** Formats bytes for people, such as `3.2 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}
