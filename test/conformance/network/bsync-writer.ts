/** Writes private operations to bsync, as the AppView does. */

/** The key of its clients: the AppView and the planes. */
export const bsyncApiKey = 'bsync-api-key';

const deadlineMs = 10_000;

/** Namespaces of private data, as bsync has them. */
export const privateNamespaces = {
  bookmark: 'app.bsky.bookmark.defs#bookmark',
  draft: 'app.bsky.draft.defs#draftWithId',
  subscription: 'app.bsky.notification.defs#subjectActivitySubscription',
  preferences: 'app.bsky.notification.defs#preferences',
  ageAssurance: 'app.bsky.unspecced.defs#ageAssuranceEvent',
  ageAssuranceAccess: 'app.bsky.ageassurance.defs#event',
} as const;

const filteredPreferences = [
  'follow',
  'like',
  'likeViaRepost',
  'mention',
  'quote',
  'reply',
  'repost',
  'repostViaRepost',
] as const;
const plainPreferences = ['starterpackJoined', 'subscribedPost', 'unverified', 'verified'] as const;

/** Makes all notification preferences, as the AppView does; the official plane fails at fewer. */
export function wholePreferences(include: 'all' | 'follows', list: boolean): object {
  return {
    chat: { include: 'all', push: true },
    ...Object.fromEntries(filteredPreferences.map((name) => [name, { include, list, push: !list }])),
    ...Object.fromEntries(plainPreferences.map((name) => [name, { list: !list, push: list }])),
  };
}

export type MuteType = 'ADD' | 'REMOVE' | 'CLEAR';
export type PutMethod = 'CREATE' | 'UPDATE' | 'DELETE';

/** One item of a namespace of private data. */
export interface PrivateItem {
  readonly actorDid: string;
  readonly namespace: string;
  readonly key: string;
}

/** A client of one bsync server, in the JSON form of its protocol. */
export class BsyncWriter {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Adds or removes a mute of an actor, a list or a thread; `CLEAR` spares threads. */
  async mute(type: MuteType, actorDid: string, subject: string, scope: object = {}): Promise<void> {
    await this.#call('AddMuteOperation', { type: `TYPE_${type}`, actorDid, subject, ...scope });
  }

  /** Sets whether an actor wants notifications of follows only. */
  async priority(actorDid: string, priority: boolean): Promise<void> {
    await this.#call('AddNotifOperation', { actorDid, priority });
  }

  /** Creates, replaces or deletes an item. */
  async put(method: PutMethod, item: PrivateItem, payload?: object): Promise<void> {
    const bytes = payload === undefined ? '' : JSON.stringify({ ...payload, $type: item.namespace });
    const encoded = Buffer.from(bytes).toString('base64');
    await this.#call('PutOperation', { ...item, method: `METHOD_${method}`, payload: encoded });
  }

  async #call(method: string, body: object): Promise<void> {
    const answer = await fetch(`${this.#url}/bsync.Service/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${bsyncApiKey}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(deadlineMs),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`bsync refused ${method} ${JSON.stringify(body)}: ${answer.status} ${text}`);
  }
}
