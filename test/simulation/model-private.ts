/** Private data as the model sees it: items by actor, and which of them their indexes lead to. */
import type { PrivateWrite } from '../../src/entry/entry.ts';

type Item = { readonly key: string; readonly subject: string; readonly isIndexed: boolean; readonly payload: string };

export const privateNamespaces = {
  bookmark: 'app.bsky.bookmark.defs#bookmark',
  draft: 'app.bsky.draft.defs#draftWithId',
  subscription: 'app.bsky.notification.defs#subjectActivitySubscription',
  other: 'com.example.thing',
} as const;

const erasedByKind: Readonly<Record<string, (namespace: string) => boolean>> = {
  'private-data': () => true,
  bookmarks: (namespace) => namespace === privateNamespaces.bookmark,
  drafts: (namespace) => namespace === privateNamespaces.draft,
  'activity-subscriptions': (namespace) => namespace === privateNamespaces.subscription,
};

/** Of two items about one subject only the first is indexed. */
function subjectOf(namespace: string, payload: string): string | undefined {
  const { subject } = JSON.parse(payload);
  if (namespace === privateNamespaces.bookmark) return subject.uri;
  return namespace === privateNamespaces.subscription ? subject : undefined;
}

export class ModelPrivate {
  /** By actor and namespace, then by key. */
  readonly #items = new Map<string, Map<string, Item>>();

  apply(did: string, write: PrivateWrite): void {
    if (write.type === 'erase') {
      for (const [at, items] of this.#items) {
        const [owner, namespace] = at.split(' ') as [string, string];
        if (owner === did && erasedByKind[write.kind]!(namespace)) items.clear();
      }
    } else if (write.type === 'private-data') {
      const at = `${did} ${write.namespace}`;
      const items = this.#items.get(at) ?? new Map<string, Item>();
      this.#items.set(at, items);
      this.#put(items, write);
    }
  }

  #put(items: Map<string, Item>, write: PrivateWrite & { type: 'private-data' }): void {
    const { key, method, namespace, payload } = write;
    const before = items.get(key);
    if (method === 'delete') return void items.delete(key);
    // What was indexed stays so, by its first subject; the payload is the last one.
    if (before?.isIndexed === true) return void items.set(key, { ...before, payload });
    const subject = subjectOf(namespace, payload) ?? key;
    const isTaken = [...items.values()].some((item) => item.isIndexed && item.subject === subject);
    const isIndexed = namespace !== privateNamespaces.other && method === 'create' && !isTaken;
    items.set(key, { key, subject, isIndexed, payload });
  }

  /** Yields every item, with its actor and namespace. */
  *all(): Generator<Item & { readonly did: string; readonly namespace: string }> {
    for (const [at, items] of this.#items) {
      const [did, namespace] = at.split(' ') as [string, string];
      for (const item of items.values()) yield { ...item, did, namespace };
    }
  }
}
