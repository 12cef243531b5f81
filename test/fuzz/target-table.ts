/** Every fuzz target. */
import { applyTarget } from './apply-target.ts';
import { decodeTargets } from './decode-targets.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { networkTargets } from './network-target.ts';
import { peerTargets } from './peer-targets.ts';
import { requestTargets } from './request-targets.ts';

export const fuzzTargets: readonly FuzzTarget[] = [
  ...decodeTargets,
  ...peerTargets,
  ...requestTargets,
  applyTarget,
  ...networkTargets,
];
