/** Lists, their items and opt-outs in the repos of a ReadsNetwork. */
import type { ReadsNetwork, StrongRef } from '../integration/reads-network.ts';

/** Writes records about lists. */
export class ListRecords {
  readonly #network: ReadsNetwork;

  constructor(network: ReadsNetwork) {
    this.#network = network;
  }

  list(did: string, purpose = 'curatelist', more: object = {}): string {
    const record = { name: 'l', purpose: `app.bsky.graph.defs#${purpose}`, createdAt: this.#network.now, ...more };
    return this.#network.put(did, 'app.bsky.graph.list', record).uri;
  }

  /** Puts an actor on a list of its owner, by the time that is now. */
  add(list: string, subject: string, rkey?: string): StrongRef {
    const item = { subject, list, createdAt: this.#network.now };
    return this.#network.put(list.split('/')[2]!, 'app.bsky.graph.listitem', item, rkey);
  }

  optOut(did: string, list: string): StrongRef {
    const record = { subject: list, createdAt: this.#network.now };
    return this.#network.put(did, 'app.bsky.graph.referencelistoptout', record);
  }

  block(did: string, list: string): StrongRef {
    return this.#network.put(did, 'app.bsky.graph.listblock', { subject: list, createdAt: this.#network.now });
  }

  mute(did: string, uri: string): void {
    const [, , owner = '', collection = '', rkey = ''] = uri.split('/');
    this.#network.write(did, { type: 'list-mute', list: { did: owner, collection, rkey } });
  }
}
