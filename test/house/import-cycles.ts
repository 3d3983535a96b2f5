/**
 * The import cycles of a graph, each once, as the files on it: `a -> b -> a`.
 * Depth first; an edge back to a file that is still open closes a cycle.
 */
export function importCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const open: string[] = [];

  function visit(file: string): void {
    if (done.has(file)) return;
    const start = open.indexOf(file);
    if (start !== -1) {
      cycles.push([...open.slice(start), file].join(" -> "));
      return;
    }
    open.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    open.pop();
    done.add(file);
  }

  for (const file of graph.keys()) visit(file);
  return cycles;
}
