/** Requests to an AppView, whose failures name the refusal of the data plane that caused them. */
import { type AtpAgent, XRPCError } from '@atproto/api';
import type { AppView } from '../network/app-view.ts';
import type { PrefixedSeedClient } from '../network/prefixed-seed-client.ts';

export type Params = Readonly<Record<string, unknown>>;

type Headers = Readonly<Record<string, string>>;

const pagesMax = 200;

/** Asks an AppView directly, not through the PDS, as an account of the seed or as nobody. */
export class AppViewReader<Member extends string> {
  readonly #appView: AppView;
  readonly #seed: PrefixedSeedClient;
  readonly #always: Headers;

  /** Sends the headers with every query. */
  constructor(appView: AppView, seed: PrefixedSeedClient, headers: Headers = {}) {
    this.#appView = appView;
    this.#seed = seed;
    this.#always = headers;
  }

  /** Sends a query. Shape: `Output` is the method's OutputSchema in `@atproto/api`. */
  async query<Output>(method: string, params: Params, viewer?: Member, more: Headers = {}): Promise<Output> {
    const headers = { ...this.#always, ...(await this.#headers(method, viewer)), ...more };
    const known = this.#appView.planeErrors.length;
    try {
      const response = await this.#agent.call(method, params, undefined, { headers });
      return response.data as Output;
    } catch (error) {
      const planeErrors = this.#appView.planeErrors.slice(known);
      if (!(error instanceof XRPCError) || error.status < 500) throw error;
      throw new Error(`${method}: ${error.message}; the data plane said: ${planeErrors.join(', ')}`, { cause: error });
    }
  }

  /** Calls a procedure as a member. */
  async procedure<Output = void>(method: string, input: Params, viewer: Member): Promise<Output> {
    const headers = await this.#headers(method, viewer);
    const response = await this.#agent.call(method, {}, input, { encoding: 'application/json', headers });
    return response.data as Output;
  }

  /** Calls a procedure with the admin's password. */
  async adminProcedure(method: string, input: Params): Promise<void> {
    await this.#agent.call(method, {}, input, { encoding: 'application/json', headers: this.#appView.adminHeaders });
  }

  /** Sends a query with the admin's password. */
  async adminQuery<Output>(method: string, params: Params): Promise<Output> {
    const response = await this.#agent.call(method, params, undefined, { headers: this.#appView.adminHeaders });
    return response.data as Output;
  }

  /** Sends a query that must be refused. Returns: the name of the error. */
  async refusal(method: string, params: Params, viewer?: Member): Promise<string> {
    try {
      await this.query(method, params, viewer);
    } catch (error) {
      if (error instanceof XRPCError) return error.error;
      throw error;
    }
    throw new Error(`${method} was answered, and should have been refused`);
  }

  /** Returns the items of one field from all pages of a query. */
  async all<Item>(method: string, params: Params, field: string, viewer?: Member): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < pagesMax; page += 1) {
      const asked = cursor === undefined ? params : { ...params, cursor };
      const answer = await this.query<Record<string, unknown>>(method, asked, viewer);
      items.push(...(answer[field] as Item[]));
      cursor = answer['cursor'] as string | undefined;
      // Of drafts the AppView passes on the empty cursor of a data plane.
      if (cursor === undefined || cursor === '') return items;
    }
    throw new Error(`${method}: no end after ${pagesMax} pages`);
  }

  get #agent(): AtpAgent {
    return this.#appView.agent;
  }

  async #headers(method: string, viewer: Member | undefined): Promise<Headers> {
    if (viewer === undefined) return {};
    const { network, dids } = this.#seed;
    return { ...(await network.serviceHeaders(dids[viewer]!, method, this.#appView.did)) };
  }
}
