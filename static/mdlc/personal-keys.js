// Personal keys (WebAuthn): ask the site what to put to the key, have the key answer, and send the answer with the form.
(() => {
  if (!window.PublicKeyCredential) return; // the forms stay as they are: with a password

  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const named = (keys) => (keys || []).map((key) => ({ ...key, id: bytes(key.id) }));

  async function answered(kind, options) {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    if (kind === "register") {
      publicKey.user = { ...options.user, id: bytes(options.user.id) };
      publicKey.excludeCredentials = named(options.excludeCredentials);
      const { response } = await navigator.credentials.create({ publicKey });
      return { client_data: response.clientDataJSON, attestation: response.attestationObject };
    }
    publicKey.allowCredentials = named(options.allowCredentials);
    const { rawId, response } = await navigator.credentials.get({ publicKey });
    return {
      credential: rawId,
      authenticator_data: response.authenticatorData,
      client_data: response.clientDataJSON,
      signature: response.signature,
    };
  }

  async function use(place, form) {
    const body = new FormData(form);
    const asked = await fetch(place.dataset.personalKey, { method: "POST", body });
    const told = await asked.json();
    if (!asked.ok) {
      const fields = Object.values(told.fields || {}).flat();
      throw new Error([told.message, ...fields, told.todo].filter(Boolean).join(" "));
    }
    const answer = await answered(place.dataset.kind, told.options);
    const put = (name, value) => (form.elements[`key_${name}`].value = value);
    put("token", told.token);
    Object.entries(answer).forEach(([name, value]) => put(name, text(value)));
    form.noValidate = true; // the password is not needed now; the site judges all the rest
    form.requestSubmit();
  }

  document.querySelectorAll("[data-personal-key]").forEach((place) => {
    const [form, button, problem] = [place.closest("form"), place.querySelector("button"), place.querySelector("[role=alert]")];
    place.hidden = false;
    button.addEventListener("click", async () => {
      const needed = [...form.elements].filter((field) => !place.dataset.without?.split(" ").includes(field.name));
      if (!needed.every((field) => field.reportValidity())) return;
      problem.textContent = "";
      button.disabled = true;
      try {
        await use(place, form);
      } catch (error) {
        const stopped = ["NotAllowedError", "AbortError"].includes(error.name);
        const known = error.name === "InvalidStateError" ? "This device is registered already." : error.message;
        problem.textContent = stopped ? "The key was not used. Try again, or give your password." : known;
        button.disabled = false;
      }
    });
  });
})();
