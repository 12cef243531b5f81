/**
 * The tables of an AppView, as far as the official seeds write in them: labels, the tags of records
 * and handles.
 *
 * Operators of every plane write the same; a handle goes where all planes read it from.
 */
import type { LabelWrite, Operator } from './operator.ts';

export const seedLabeler = 'did:example:labeler';

type Row = Readonly<Record<string, unknown>>;

export interface SeedTablesOptions {
  /** Of every plane. */
  readonly operators: readonly Operator[];
  /** Takes an account's handle from it. */
  readonly dropHandle: (did: string) => Promise<void>;
}

/** What seeds use of `TestNetwork.bsky`. */
export interface SeedAppView {
  readonly ctx: { readonly cfg: { readonly modServiceDid: string } };
  readonly db: { readonly db: SeedTables };
}

/** Understands the statements of the seeds, and no others. */
export class SeedTables {
  readonly #options: SeedTablesOptions;

  constructor(options: SeedTablesOptions) {
    this.#options = options;
  }

  insertInto(table: string): { readonly values: (row: Row) => { readonly execute: () => Promise<void> } } {
    if (table !== 'label') throw new Error(`no seed is known to write in ${table}`);
    return { values: (row) => ({ execute: async () => await this.#label(row) }) };
  }

  updateTable(table: string): { readonly set: (change: Row) => object } {
    const where = (change: Row) => (_column: string, _equals: '=', key: string) => {
      const execute = async (): Promise<void> => await this.#update(table, key, change);
      return { execute, returningAll: () => ({ execute }) };
    };
    return { set: (change) => ({ where: where(change) }) };
  }

  async #label({ src, uri, cid, val, cts }: Row): Promise<void> {
    const label = { src, uri, val, cts, ...(cid === '' ? {} : { cid }) } as LabelWrite;
    for (const operator of this.#options.operators) await operator.label(label);
  }

  async #update(table: string, key: string, { tags, handle }: Row): Promise<void> {
    if (table === 'actor' && handle !== undefined) return await this.#options.dropHandle(key);
    if (table !== 'record' || typeof tags !== 'string') throw new Error(`no seed is known to update ${table}`);
    for (const operator of this.#options.operators) await operator.tagRecord(key, JSON.parse(tags) as string[]);
  }
}

/** Makes what stands for an AppView. */
export function seedAppView(options: SeedTablesOptions): SeedAppView {
  return { ctx: { cfg: { modServiceDid: seedLabeler } }, db: { db: new SeedTables(options) } };
}
