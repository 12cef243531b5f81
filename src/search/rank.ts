/**
 * In which order hits come: the row ids of the index, and the score of `top`.
 *
 * Row ids of posts count from new to old, since FTS5 walks upwards at half the price. They follow
 * from a post's sort time alone, but for the few that share one, so nodes agree on their order.
 */

/** Posts from before, as imports from elsewhere claim, are as if from this moment. */
const firstMs = Date.UTC(2006, 0, 1);
const msPerId = 4;
/** Until 2040. More bits would make each posting longer. */
const idMax = 2 ** 38;

/** Returns the first row id that a post of this sort time may have. */
export function postIdAt(sortMs: number): number {
  const since = Math.floor((sortMs - firstMs) / msPerId);
  return idMax - Math.max(0, Math.min(since, idMax - 1));
}

/** Row ids that posts of one sort time may have, one after the other. */
export const idsOfTime = 64;

/** Above all row ids of posts: too many of one sort time are placed further on. */
export const postIdsEnd = idMax + 2 ** 32;

/** Returns a row id further on, for a post whose own are taken; wider with each attempt. */
export function postIdFurther(id: number, hash: number, attempt: number): number {
  return id + idsOfTime + (hash % 2 ** Math.min(10 + 2 * attempt, 31));
}

/** Posts of each further table have at least so many levels of engagement: about 7, 63 and 511. */
export const tierLevels = [0, 3, 6, 9] as const;
/** Newest posts of each table that take part in `top`. */
export const topCandidates = 200;

/** Returns in how many tables a post of a level is. */
export function tiersOf(level: number): number {
  return tierLevels.filter((least) => level >= least).length;
}

/** Terms of an average post. A constant, so that scores do not depend on a node's posts. */
const averageTerms = 24;
const ageHalfMs = 12 * 3_600_000;

/**
 * Returns the score of a post as of a time: each doubling of engagement counts one, each doubling
 * of its age takes 1.2, and of words as many in a shorter post count more.
 */
export function scoreOf(level: number, terms: number, ageMs: number): number {
  const age = Math.log2(1 + Math.max(0, ageMs) / ageHalfMs);
  const length = 2.2 / (1 + 1.2 * (0.25 + (0.75 * terms) / averageTerms));
  return level - 1.2 * age + 0.5 * length;
}

/** Returns how old a post of a row id is at a time. Units: ms. */
export function ageOfId(id: number, atMs: number): number {
  return atMs - (firstMs + (idMax - id) * msPerId);
}

/** What a post's row keeps besides its key: level of engagement and number of terms. */
export function packWeight(level: number, terms: number): number {
  return level * 256 + Math.min(terms, 255);
}

/** Returns the level of engagement of a weight. */
export function levelOf(weight: number): number {
  return Math.floor(weight / 256);
}

/** Returns the number of terms of a weight, at most 255. */
export function termCountOf(weight: number): number {
  return weight % 256;
}

const levelMax = 31;
const hashes = 2 ** 32;

/** Row ids of actors, feeds and packs: the best known come first, others of a level by a hash. */
export function namedId(level: number, hash: number): number {
  return (levelMax - Math.min(level, levelMax)) * hashes + hash;
}

/** Returns the level of such a row id. */
export function levelOfNamedId(id: number): number {
  return levelMax - Math.floor(id / hashes);
}
