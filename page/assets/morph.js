// Makes an element's content what the server says it is and leaves alone what is so
// already: focus, selection and scrolling stay. The text comes from html/template, which
// has escaped what is other people's.

const policy = globalThis.trustedTypes?.createPolicy('midflight', { createHTML: (s) => s });

export function morph(element, html) {
  const text = policy ? policy.createHTML(html) : html;
  children(element, new DOMParser().parseFromString(text, 'text/html').body);
}

function children(old, wanted) {
  let at = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const match = counterpart(old, at, child);
    if (!match) {
      old.insertBefore(child, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else old.insertBefore(match, at);
    if (child.nodeType !== Node.ELEMENT_NODE) {
      if (match.data !== child.data) match.data = child.data;
      continue;
    }
    attributes(match, child);
    children(match, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// counterpart is the child of the same id or, of none, the one that comes next if it is of
// the same kind.
function counterpart(old, at, child) {
  if (child.id) return [...old.children].find((c) => c.id === child.id && c.nodeName === child.nodeName);
  return at && !at.id && at.nodeName === child.nodeName ? at : null;
}

function attributes(old, wanted) {
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}
