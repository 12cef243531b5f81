/** Decides who holds a handle, in its own slot, and takes it from an actor that lost it. */
import type { EffectOf } from '../../entry/entry.ts';
import { getActor, putActor } from '../table/actor-row.ts';
import { claimKey, getHandleRow, type HandleRow, putHandleRow } from '../table/handle-claim.ts';
import type { ApplyContext } from './apply-context.ts';

function isLater(a: HandleRow, b: HandleRow): boolean {
  return a.verifiedMs > b.verifiedMs || (a.verifiedMs === b.verifiedMs && a.did > b.did);
}

/** Decides one claim, or the release of one, and notifies the loser's slot. */
export function applyHandleClaim(context: ApplyContext, effect: EffectOf<'handle-claim'>): void {
  const { state } = context;
  const claim = { did: effect.did, verifiedMs: effect.verifiedAtMs, isReleased: !effect.present };
  if (effect.present) context.confirm(claimKey(effect.handle, effect.did));
  const holder = getHandleRow(state, effect.handle);
  if (holder === undefined || holder.did === claim.did) {
    if (holder === undefined || !isLater(holder, claim)) putHandleRow(state, effect.handle, claim);
    return;
  }
  const [winner, loser] = isLater(claim, holder) ? [claim, holder] : [holder, claim];
  if (winner === claim) {
    if (claim.isReleased) return;
    putHandleRow(state, effect.handle, claim);
  }
  if (loser.isReleased) return;
  context.send({ type: 'handle-loss', handle: effect.handle, did: loser.did, lostVerifiedAtMs: loser.verifiedMs });
}

/** Takes a handle from an actor, unless the actor has claimed it again since. */
export function applyHandleLoss(context: ApplyContext, effect: EffectOf<'handle-loss'>): void {
  const owner = context.state.ownerOf(effect.did);
  if (owner === undefined) return;
  const actor = getActor(context.state, owner);
  if (actor === undefined || actor.handle !== effect.handle || actor.handleVerifiedMs > effect.lostVerifiedAtMs) return;
  putActor(context.state, owner, { ...actor, handle: null });
}
