import type { RelayObserver } from '../relay-observer.js';

/**
 * One observer that tells all of `observers`, in their order. What one of them throws is kept from the relay and from the
 * others: whoever watches must not be able to break what is watched.
 */
export function observeAll(observers: readonly RelayObserver[]): Required<RelayObserver> {
  function tell(call: (observer: RelayObserver) => void): void {
    for (const observer of observers) {
      try {
        call(observer);
      } catch {
        // Must not happen, says RelayObserver; and there is nobody left who could be told.
      }
    }
  }

  return {
    registered: (client, seconds) => tell(each => each.registered?.(client, seconds)),
    disconnected: (client, code, seconds) => tell(each => each.disconnected?.(client, code, seconds)),
    refused: refusal => tell(each => each.refused?.(refusal)),
    limited: limited => tell(each => each.limited?.(limited)),
    asked: (about, seconds, outcome, error) => {
      tell(each => each.asked?.(about, seconds, outcome, error));
    },
    reloaded: (what, error) => tell(each => each.reloaded?.(what, error)),
    spaceEntered: entered => tell(each => each.spaceEntered?.(entered)),
    spaceLeft: (left, reason) => tell(each => each.spaceLeft?.(left, reason)),
    spaceRefused: refusal => tell(each => each.spaceRefused?.(refusal)),
    administered: (action, detail) => tell(each => each.administered?.(action, detail)),
    state: state => tell(each => each.state?.(state)),
  };
}
