/**
 * A name for this tab that survives a reload. Tabs of one origin share IndexedDB, and so one stored identity; here each is to
 * be somebody of its own.
 */
export async function tabName() {
  const kept = sessionStorage.getItem('tab');
  if (kept && (await claim(kept))) return kept;
  // New, or a duplicate: "duplicate tab" copies the session storage of the first one, which is still open.
  const fresh = Math.random().toString(36).slice(2, 10);
  sessionStorage.setItem('tab', fresh);
  await claim(fresh);
  return fresh;
}

/** Holds a lock for as long as the tab lives. False when another tab holds it. */
function claim(name) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise(resolve => {
    void navigator.locks.request(`tab-${name}`, { ifAvailable: true }, lock => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}
