// What somebody writes who forgets to export: a worker with it would park every job.
export const jobs = {};
