/* Browsers start no worker from a file: here a hidden frame stands in for it, so that the search works without a server. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inside = this.frame.contentWindow
      window.addEventListener("message", said => {
        if (said.source !== inside) return
        this.dispatchEvent(new MessageEvent("message", { data: said.data }))
        if (this.onmessage) this.onmessage(said)
      })
      this.ready = new Promise(resolve => { this.frame.onload = resolve })
      inside.document.open()
      inside.document.write(`<script>
        postMessage = said => parent.postMessage(said, "*")
        importScripts = (...all) => all.reduce((before, one) => before.then(() => new Promise((done, failed) => {
          const script = document.createElement("script")
          script.src = one; script.onload = done; script.onerror = failed
          document.body.appendChild(script)
        })), Promise.resolve())
      <\/script><body><script src="${new URL(address, location)}"><\/script></body>`)
      inside.document.close()
    }

    postMessage(said) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: said })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
