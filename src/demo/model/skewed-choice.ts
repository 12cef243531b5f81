/** Skewed random choices: ranks by a power law, lengths with a long tail. */
import type { SeededRandom } from '../../base/seeded-random.ts';

/** Draws an index below its bound; low indexes are drawn more often. */
export type RankChoice = (random: SeededRandom) => number;

/**
 * Returns a choice among `count` ranks where rank r has a weight near (r + 1)^-exponent.
 *
 * Shape: `exponent` lies between 0 (even) and 1, both excluded.
 */
export function powerLawChoice(count: number, exponent: number): RankChoice {
  const power = 1 - exponent;
  const span = (count + 1) ** power - 1;
  return (random) => Math.min(count - 1, Math.floor((1 + random.next() * span) ** (1 / power)) - 1);
}

/** Returns a fixed permutation of `count` indexes, unrelated to their order: rank in, index out. */
export function scatter(count: number, seed: number): (rank: number) => number {
  const prime = 2_147_483_629;
  const offset = seed % count;
  if (count >= prime) return (rank) => rank;
  return (rank) => {
    // The product passes 2^53 for large counts, so it is split into two exact ones.
    const high = ((Math.floor(rank / 65_536) * prime) % count) * 65_536;
    return (high + (rank % 65_536) * prime + offset) % count;
  };
}

/** Draws a number near `median` from a log-normal distribution of the given spread. */
export function longTailed(random: SeededRandom, median: number, spread: number): number {
  // Twelve uniform draws would be closer to a normal distribution; three are close enough.
  const bell = (random.next() + random.next() + random.next() - 1.5) * 2;
  return median * Math.exp(bell * spread);
}

export type Weighted<Choice> = readonly (readonly [Choice, number])[];

/** Returns a random choice in proportion to the weights. */
export function weightedChoice<Choice>(table: Weighted<Choice>): (random: SeededRandom) => Choice {
  const total = table.reduce((sum, [, weight]) => sum + weight, 0);
  const last = table[table.length - 1]![0];
  return (random) => {
    let rest = random.next() * total;
    for (const [choice, weight] of table) {
      rest -= weight;
      if (rest < 0) return choice;
    }
    return last;
  };
}
