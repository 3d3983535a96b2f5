/** The one file of the CLI that prints. */

// `roger jobs acme | head` closes the pipe before we have said all: that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  printError(`error: the answer can't be written: ${error.message}`);
  process.exit(1);
});

export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

export function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}
