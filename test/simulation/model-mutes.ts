/** Mutes as the model keeps them: of actors, of lists and of threads, each by its muter. */
import type { PrivateWrite } from '../../src/entry/entry.ts';

type Scope = { readonly onlyReposts: boolean; readonly onlyQuoteposts: boolean };
type Uri = { readonly did: string; readonly collection: string; readonly rkey: string };

function uriOf({ did, collection, rkey }: Uri): string {
  return `at://${did}/${collection}/${rkey}`;
}

export class ModelMutes {
  readonly actors = new Map<string, Map<string, Scope>>();
  /** By muter: URIs of lists. */
  readonly lists = new Map<string, Set<string>>();
  /** By muter: URIs of roots. An entry stays once there was a mute. */
  readonly threads = new Map<string, Set<string>>();

  /** Other writes change nothing. */
  apply(did: string, write: PrivateWrite): void {
    const setIn = (map: Map<string, Set<string>>): Set<string> => {
      const set = map.get(did) ?? new Set<string>();
      map.set(did, set);
      return set;
    };
    switch (write.type) {
      case 'mute': {
        const { subject, onlyReposts, onlyQuoteposts } = write;
        const mutes = this.actors.get(did) ?? new Map<string, Scope>();
        this.actors.set(did, mutes.set(subject, { onlyReposts, onlyQuoteposts }));
        return;
      }
      case 'unmute':
        return void this.actors.get(did)?.delete(write.subject);
      case 'clear-mutes':
        return this.actors.get(did)?.clear();
      case 'list-mute':
        return void setIn(this.lists).add(uriOf(write.list));
      case 'list-unmute':
        return void this.lists.get(did)?.delete(uriOf(write.list));
      case 'clear-list-mutes':
        return this.lists.get(did)?.clear();
      case 'thread-mute':
        return void setIn(this.threads).add(uriOf(write.root));
      case 'thread-unmute':
        return void this.threads.get(did)?.delete(uriOf(write.root));
      case 'clear-thread-mutes':
        return this.threads.get(did)?.clear();
    }
  }
}
