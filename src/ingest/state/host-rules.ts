/** What the operator decided about hosts. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, everyKey, readValue, textKey } from './state-codec.ts';

/** `null` is no limit of the operator's. */
export type HostRule = {
  readonly isBlocked: boolean;
  readonly eventsPerSecond: number | null;
  readonly requestsPerSecond: number | null;
};

/** Table `host-rules`: host of a URL → its rule. Also in memory; `reload` it after an abort. */
export class HostRuleTable {
  readonly #table: Table;
  readonly #commits: CommitQueue;
  readonly #ruleByHost = new Map<string, HostRule>();

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
    this.reload();
  }

  reload(): void {
    this.#ruleByHost.clear();
    for (const { key, value } of this.#table.scan(everyKey)) {
      const reader = readValue(value);
      const isBlocked = reader.u8() === 1;
      // A limit is at least 1, so 0 is none.
      const [eventsPerSecond, requestsPerSecond] = [reader.u32() || null, reader.u32() || null];
      this.#ruleByHost.set(key.toString('utf8'), { isBlocked, eventsPerSecond, requestsPerSecond });
    }
  }

  get size(): number {
    return this.#ruleByHost.size;
  }

  get(host: string): HostRule | undefined {
    return this.#ruleByHost.get(host);
  }

  entries(): IterableIterator<[string, HostRule]> {
    return this.#ruleByHost.entries();
  }

  /** Stores a rule, or removes it. Returns: once durable; it is in force from then on. */
  put(host: string, rule: HostRule | null): Promise<void> {
    return this.#commits.write(() => {
      if (rule === null) {
        this.#table.remove(textKey(host));
        this.#ruleByHost.delete(host);
        return;
      }
      const { isBlocked, eventsPerSecond, requestsPerSecond } = rule;
      const value = beginValue().u8(isBlocked ? 1 : 0);
      this.#table.put(
        textKey(host),
        value
          .u32(eventsPerSecond ?? 0)
          .u32(requestsPerSecond ?? 0)
          .finish(),
      );
      this.#ruleByHost.set(host, rule);
    });
  }
}
