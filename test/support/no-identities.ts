import type { IdentitySource } from '../../src/router/plan/identity-source.ts';

/** Resolves nothing, for a router that answers only what its slots hold. */
export const noIdentitySource: IdentitySource = {
  byDid: async () => null,
  fresher: async () => null,
  byHandle: async () => null,
};
