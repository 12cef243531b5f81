/** Applies changes of what operators suggest, in the slot of its key. */
import {
  type SuggestionChange,
  type SuggestionList,
  suggestionOrderMax,
  suggestionsMax,
} from '../../entry/suggestion.ts';
import type { SlotState } from '../table/slot-state.ts';
import {
  countSuggestions,
  lastSuggestionOrder,
  putSuggestion,
  removeSuggestion,
  suggestionOrder,
} from '../table/suggestion.ts';

/** Changes one list, in the order of the changes. What would exceed its maximum is left out. */
export function applySuggestions(state: SlotState, list: SuggestionList, changes: readonly SuggestionChange[]): void {
  let count = countSuggestions(state, list, suggestionsMax);
  for (const { tag, subject, subjectType, order } of changes) {
    const before = suggestionOrder(state, list, tag, subject);
    if (order === 'gone') {
      if (before !== undefined) count--;
      removeSuggestion(state, list, tag, subject);
      continue;
    }
    if (before === undefined && count >= suggestionsMax) continue;
    if (before === undefined) count++;
    const last = (): number => Math.min(lastSuggestionOrder(state, list) + 1, suggestionOrderMax);
    putSuggestion(state, list, { tag, subject, subjectType, order: order === 'last' ? (before ?? last()) : order });
  }
}
