/** Rows as aligned columns under their headings; numbers to the right. No rows: only `nothing` is said. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number | null)[])[], nothing: string): string[] {
  if (rows.length === 0) return [nothing];
  const cells = [headings, ...rows.map((row) => row.map(printable))];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const right = headings.map((_, column) => rows.every((row) => typeof row[column] === "number" || row[column] === null));
  return cells.map((row) =>
    row
      .map((cell, i) => (right[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** One line of text: a terminal must not obey what a job's error says. */
export function printable(value: string | number | null): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return value === null ? "-" : String(value).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
