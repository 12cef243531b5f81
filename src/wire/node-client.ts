/**
 * The NodeCaller of our processes, over one multiplexed WebSocket for each node.
 *
 * Owns: a link to each node of the map, made at the first call, and replaced when a new map gives
 * the node another address. Refuses: nodes that the map does not name.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import { type LinkEnvironment, type LinkLimits, type LinkSnapshot, linkLimitDefaults } from './link-environment.ts';
import type { NodeCall, NodeCaller } from './node-caller.ts';
import { NodeLink } from './node-link.ts';

/** The part of a shard map that the client needs. */
export type NodeAddresses = {
  readonly epoch: number;
  readonly nodes: ReadonlyMap<string, { readonly host: string; readonly port: number }>;
};

export type NodeClientOptions = {
  readonly map: NodeAddresses;
  /** Sent in every handshake; null for nodes on loopback without one. */
  readonly clusterToken?: string | null;
  /** PEM of the map's certificate, which alone is trusted; null for cleartext. */
  readonly trustedCertificates?: Buffer | null;
  readonly limits?: Partial<LinkLimits>;
  /** Called when a node answers with another epoch: the map file has changed. */
  readonly onOtherEpoch?: (node: string, epoch: number) => void;
  /** Called when the link to a node is lost, but not again for the same reason until it answers. */
  readonly onProblem?: (node: string, problem: string) => void;
  readonly clock?: Clock;
  /** For the jitter between attempts to connect. */
  readonly seed?: number;
};

const silenceCheckMs = 1000;

/** Calls nodes by their names in the map. */
export class NodeClient implements NodeCaller, AsyncDisposable {
  readonly #linkByNode = new Map<string, NodeLink>();
  /** Links to addresses that the map no longer names, until their calls have ended. */
  readonly #retiring = new Set<NodeLink>();
  readonly #environment: LinkEnvironment;
  readonly #silenceTimer: NodeJS.Timeout;
  #map: NodeAddresses;
  #isClosed = false;

  constructor(options: NodeClientOptions) {
    const clock = options.clock ?? systemClock;
    this.#map = options.map;
    this.#environment = {
      clock,
      random: seededRandom(options.seed ?? Math.floor(clock.monotonicMs() * 1000)),
      limits: { ...linkLimitDefaults, ...options.limits },
      epoch: () => this.#map.epoch,
      onOtherEpoch: options.onOtherEpoch ?? (() => {}),
      onProblem: options.onProblem ?? (() => {}),
      clusterToken: options.clusterToken ?? null,
      trustedCertificates: options.trustedCertificates ?? null,
    };
    this.#silenceTimer = setInterval(() => {
      for (const link of this.#linkByNode.values()) link.checkSilence();
    }, silenceCheckMs);
    this.#silenceTimer.unref();
  }

  call(request: NodeCall): Promise<Uint8Array> {
    const link = this.#linkByNode.get(request.node) ?? this.#openLink(request.node);
    if (link === null) return Promise.reject(this.#unknownNode(request.node));
    return link.call(request.method, request.payload, request.timeoutMs, request.trace ?? null);
  }

  /** Replaces the map. Links to addresses that it does not name finish their calls. */
  setMap(map: NodeAddresses): void {
    this.#map = map;
    for (const [node, link] of this.#linkByNode) {
      const address = map.nodes.get(node);
      if (address !== undefined && this.#urlOf(address) === link.url) continue;
      this.#linkByNode.delete(node);
      this.#retiring.add(link);
      link.retire();
    }
    for (const link of this.#retiring) if (link.snapshot.state === 'closed') this.#retiring.delete(link);
  }

  /** Returns the state of each node that has been called. */
  snapshot(): Record<string, LinkSnapshot> {
    return Object.fromEntries([...this.#linkByNode].map(([node, link]) => [node, link.snapshot]));
  }

  /** Fails pending calls with `Unavailable` and closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#silenceTimer);
    for (const link of [...this.#linkByNode.values(), ...this.#retiring]) link.close();
    this.#linkByNode.clear();
    this.#retiring.clear();
  }

  #openLink(node: string): NodeLink | null {
    const address = this.#map.nodes.get(node);
    if (address === undefined || this.#isClosed) return null;
    const link = new NodeLink(node, this.#urlOf(address), this.#environment);
    this.#linkByNode.set(node, link);
    return link;
  }

  #urlOf(address: { readonly host: string; readonly port: number }): string {
    const scheme = this.#environment.trustedCertificates === null ? 'ws' : 'wss';
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return `${scheme}://${host}:${address.port}/wire`;
  }

  #unknownNode(node: string): DataPlaneError {
    const problem = this.#isClosed ? 'the client is closed' : `the map of epoch ${this.#map.epoch} does not name it`;
    return new DataPlaneError('Unavailable', `node ${node}: ${problem}`);
  }
}
