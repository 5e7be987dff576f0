import { i18n } from "@lingui/core";
import { afterEach, beforeEach } from "vitest";
import { cleanup, configure } from "@testing-library/react";

// A busy machine is slow, not wrong.
configure({ asyncUtilTimeout: 8000 });

// jsdom opens no dialogs; what matters to the page is the attribute and the event.
if (typeof HTMLDialogElement !== "undefined" && typeof HTMLDialogElement.prototype.showModal !== "function") {
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.setAttribute("open", "");
  };
  HTMLDialogElement.prototype.close = function close() {
    this.removeAttribute("open");
  };
}

// jsdom lays nothing out: what draws only the rows in sight needs a height of a row and of its box.
if (typeof HTMLElement !== "undefined") {
  Object.defineProperty(HTMLElement.prototype, "offsetHeight", {
    configurable: true,
    get(this: HTMLElement) {
      return this.getAttribute("role") === "log" ? 420 : 20;
    },
  });
  HTMLElement.prototype.scrollIntoView = () => undefined;
}

beforeEach(() => i18n.loadAndActivate({ locale: "en", messages: {} }));
afterEach(cleanup);
