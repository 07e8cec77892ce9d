// What an operator says to a migration is said again before it is done.

const dialog = document.getElementById('confirm');
const yes = document.getElementById('confirm-yes');
const error = document.getElementById('confirm-error');
const throttle = document.getElementById('confirm-throttle');
const ratio = document.getElementById('ratio');
const minutes = document.getElementById('minutes');

let asked;

document.addEventListener('click', (e) => {
  const button = e.target.closest('button[data-word]');
  if (!button) return;
  asked = { ...button.dataset };
  const label = button.textContent.replace('…', '');
  document.getElementById('confirm-title').textContent = `${label} migration ${asked.migration}?`;
  document.getElementById('confirm-what').textContent = asked.table;
  document.getElementById('confirm-says').textContent = asked.says;
  yes.textContent = asked.word === 'cancel' ? 'Cancel the migration' : label;
  yes.classList.toggle('grave', button.classList.contains('grave'));
  throttle.hidden = throttle.disabled = asked.word !== 'throttle';
  error.hidden = true;
  dialog.showModal();
  document.getElementById('confirm-no').focus(); // a stray Enter does nothing
});

document.getElementById('confirm-no').addEventListener('click', () => dialog.close());
ratio.addEventListener('input', () => { document.getElementById('ratio-shown').textContent = `${ratio.value} %`; });

dialog.querySelector('form').addEventListener('submit', async (e) => {
  e.preventDefault();
  if (yes.disabled) return;
  yes.disabled = true;
  try {
    const answer = await fetch(`${document.body.dataset.actions}${asked.migration}/${asked.word}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Midflight': 'page' },
      body: JSON.stringify(asked.word === 'throttle' ? { ratio: ratio.value / 100, minutes: +minutes.value } : {}),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    dialog.close();
  } catch (e) {
    error.textContent = e instanceof TypeError ? 'Midflight can’t be reached.' : e.message;
    error.hidden = false;
  } finally {
    yes.disabled = false;
  }
});
