/**
 * Time, as a port: the only file that may ask the machine for it.
 *
 * `now` is what is written down (epoch ms, comparable between machines only roughly);
 * `monotonic` is what durations and leases are measured with (ms, this process only, never goes back).
 */
export interface Clock {
  now(): number;
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
