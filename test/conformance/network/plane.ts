import { BasicHostList, createDataPlaneClient, type DataPlaneClient } from '@atproto/bsky';

/** The two ways in which the AppView can speak to a data plane. */
export const httpVersions = ['1.1', '2'] as const;

/** One of the two ways in which the AppView can speak to a data plane. */
export type HttpVersion = (typeof httpVersions)[number];

/** A data plane under test, the official one or ours. */
export interface Plane extends AsyncDisposable {
  readonly name: 'official' | 'skyshard';
  /** Gives the address at which the plane speaks gRPC over this HTTP version. */
  url(httpVersion: HttpVersion): string;
  /**
   * Waits until everything up to this event of the PDS is applied, with all its consequences.
   *
   * Shape: lastSeq is inclusive, a seq of `subscribeRepos`.
   * Errors: rejects at its deadline with what is still waiting.
   */
  settle(lastSeq: number): Promise<void>;
}

/** Where a plane finds the network around it. */
export interface PlaneSurroundings {
  readonly pdsPort: number;
  readonly plcUrl: string;
}

/** Makes the official client for a plane. */
export function planeClient(plane: Plane, httpVersion: HttpVersion = '1.1'): DataPlaneClient {
  return createDataPlaneClient(new BasicHostList([plane.url(httpVersion)]), { httpVersion });
}
