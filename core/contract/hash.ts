/**
 * A 32-bit hash that is the same in every process and build: FNV-1a, then murmur3's finaliser so that
 * neighbours (`task-1`, `task-2`) spread. Where things live depends on it: never change it.
 */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Rendezvous hashing: the members in the order in which they should own `subject`. When a member comes or goes,
 * only what it owned moves.
 */
export function rendezvous(subject: string, members: readonly string[]): string[] {
  return members
    .map((member) => ({ member, weight: hash32(`${subject}\u0000${member}`) }))
    .sort((a, b) => b.weight - a.weight || (a.member < b.member ? -1 : 1))
    .map(({ member }) => member);
}

/** The first of `rendezvous`, without sorting. */
export function rendezvousOwner(subject: string, members: readonly string[]): string | undefined {
  let owner: string | undefined;
  let best = -1;
  for (const member of members) {
    const weight = hash32(`${subject}\u0000${member}`);
    if (weight > best || (weight === best && owner !== undefined && member < owner)) {
      owner = member;
      best = weight;
    }
  }
  return owner;
}
