/** What search costs a slot itself: the rows of its queue, as a slot writes and removes them. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../src/base/seeded-random.ts';
import { searchQueueMeta } from '../src/slot/table/search-queue.ts';
import { slotTables } from '../src/slot/table/slot-state.ts';
import { didOf, ReadsNetwork } from '../test/integration/reads-network.ts';
import type { Figures } from './report.ts';
import { textOf } from './search-corpus.ts';

const postsPerRound = 500;
const authors = 20;

/** A slot that notes changes for an index, or does not; its CPU time a round. Units: µs. */
class MeasuredSlot {
  readonly #network: ReadsNetwork;
  readonly us: number[] = [];

  constructor(path: string, isSearched: boolean) {
    this.#network = new ReadsNetwork({ slots: 1, isSearched, path });
  }

  apply(round: number, records: readonly object[]): void {
    const perAuthor = postsPerRound / authors;
    for (let author = 0; author < authors; author++) {
      const own = records.slice(author * perAuthor, (author + 1) * perAuthor);
      const did = didOf(`a${'abcdefghijklmnopqrstuvwxyz'[author]}`);
      this.#network.putAll(did, 'app.bsky.feed.post', own, (index) => `r${round}-${index}`);
    }
    const before = process.cpuUsage();
    this.#network.settle();
    const { user, system } = process.cpuUsage(before);
    this.us.push(user + system);
    const slot = this.#network.cluster.slots[0]!;
    const queue = searchQueueMeta(slot.environment.table(slotTables.search));
    // As once the index has them: the next transaction removes the rows.
    if (queue !== undefined) slot.searchQueue?.trimBelow(queue.epoch, queue.nextSeq);
  }

  async close(): Promise<void> {
    await this.#network[Symbol.asyncDispose]();
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

/** Applies the same posts in turn to a slot with a queue and to one without. */
export async function slotShareFigures(folder: string, random: SeededRandom, rounds: number): Promise<Figures> {
  const slots = [true, false].map((isSearched) => new MeasuredSlot(join(folder, String(isSearched)), isSearched));
  for (let round = 0; round < rounds; round++) {
    const records = Array.from({ length: postsPerRound }, (_unused, index) => ({
      text: textOf(random).slice(0, 280),
      createdAt: new Date(Date.UTC(2025, 0, 1) + (round * postsPerRound + index) * 1_000).toISOString(),
    }));
    for (const slot of round % 2 === 0 ? slots : [...slots].reverse()) slot.apply(round, records);
  }
  const [searched, plain] = slots.map(({ us }) => us.map((one) => one / postsPerRound));
  const differences = searched!.map((one, round) => one - plain![round]!);
  for (const slot of slots) await slot.close();
  rmSync(folder, { recursive: true, force: true });
  return {
    apply_cpu_us_per_post: median(plain!),
    with_queue_cpu_us_per_post: median(searched!),
    slot_share_cpu_us_per_post: median(differences),
  };
}
