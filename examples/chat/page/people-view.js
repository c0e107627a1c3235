import { $, avatar, element, fingerprintOf } from './elements.js';

/** Shows who is here: ourselves first, then as they came. */
export function showPeople(people) {
  const self = people.find(({ isSelf }) => isSelf);
  $('people-count').textContent = String(people.length);
  $('people').replaceChildren(
    ...[...people]
      .sort((one, other) => Number(other.isSelf) - Number(one.isSelf))
      .map(person => row(person, self)),
  );
}

function row(person, self) {
  const line = element('li', person.away ? 'away' : '');
  line.append(
    avatar(person.publicKey),
    element('bdi', 'name', person.name || 'No name'),
    fingerprintOf(person.publicKey),
  );
  const remarks = [];
  if (person.isSelf) remarks.push('you');
  else if (person.publicKey === self?.publicKey) remarks.push('your key, elsewhere');
  if (person.away) remarks.push('away');
  if (remarks.length > 0) line.append(element('span', 'remark', remarks.join(', ')));
  if (person.ambiguous) {
    line.append(element('span', 'remark warning', 'Not the only one of this name: look at the keys.'));
  }
  return line;
}
