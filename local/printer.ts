/** Where the local cloud speaks to people: no other file of `local/` writes to the terminal. */

const ERASE_LINE = "\r\u001b[2K";

/** A line that `redraw` left unfinished on the terminal. */
let unfinished = false;

/** Whether a person watches: only then can a line be redrawn. */
export function isTerminal(): boolean {
  return process.stdout.isTTY === true;
}

/** One line (or several) to stdout. */
export function print(text: string): void {
  process.stdout.write(`${erase()}${text}\n`);
}

/** One line (or several) to stderr. */
export function printError(text: string): void {
  if (unfinished) process.stdout.write(erase());
  process.stderr.write(`${text}\n`);
}

/** Shows a line that the next call of anything here replaces; does nothing when stdout is no terminal. */
export function redraw(line: string): void {
  if (!isTerminal()) return;
  const before = erase();
  // A line that wraps can't be erased as one.
  process.stdout.write(`${before}${line.slice(0, (process.stdout.columns || 80) - 1)}`);
  unfinished = true;
}

function erase(): string {
  if (!unfinished) return "";
  unfinished = false;
  return ERASE_LINE;
}
