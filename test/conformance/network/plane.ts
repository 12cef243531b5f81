/** What the tests need of a data plane, the official one or ours. */
import { BasicHostList, createDataPlaneClient, type DataPlaneClient } from '@atproto/bsky';

/** HTTP versions in which an AppView can call a data plane. */
export const httpVersions = ['1.1', '2'] as const;

export type HttpVersion = (typeof httpVersions)[number];

export interface Plane extends AsyncDisposable {
  readonly name: 'official' | 'skyshard';
  readonly readsBsync: boolean;
  /** Returns the address of gRPC over this HTTP version. */
  url(httpVersion: HttpVersion): string;
  /** Makes a client that spends less CPU than gRPC, for many requests. */
  directClient(): DataPlaneClient;
  /**
   * Waits until everything up to this event of the PDS is applied, effects included.
   *
   * Shape: `lastSeq` is inclusive, a seq of `subscribeRepos`; `heads` are the last operations of
   * bsync, of which a plane that does not read bsync takes no notice.
   * Errors: rejects at its deadline with what still waits.
   */
  settle(lastSeq: number, heads: BsyncHeads): Promise<void>;
  /**
   * Repairs what a plane loses or puts off when the machine is busy, so that it can be compared.
   *
   * Shape: `dids` are accounts of the PDS, `goneDids` those of them that were deleted.
   */
  mendRaces(dids: readonly string[], goneDids?: readonly string[]): Promise<void>;
}

/** The last operation of each stream of bsync; a stream without any is absent. */
export interface BsyncHeads {
  readonly mute?: string;
  readonly notif?: string;
  readonly op?: string;
}

/** Addresses of the network around a plane. */
export interface PlaneSurroundings {
  readonly pdsPort: number;
  readonly plcUrl: string;
  readonly bsyncUrl: string;
  /** DIDs of the labelers to follow. */
  readonly labelers?: readonly string[];
}

/** Makes the official client for a plane. */
export function planeClient(plane: Pick<Plane, 'url'>, httpVersion: HttpVersion = '1.1'): DataPlaneClient {
  return createDataPlaneClient(new BasicHostList([plane.url(httpVersion)]), { httpVersion });
}
