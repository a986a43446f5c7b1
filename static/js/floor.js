/* A plain script for every browser: says what to do where the page's modules cannot run. Older than Chrome 86
 * or iOS 14, a browser misses `replaceChildren`; older still, modules. No word of it is newer than 2009. */
(function () {
  if ("noModule" in document.createElement("script") && "replaceChildren" in Element.prototype && "customElements" in window) return;
  var zh = /^zh/i.test(navigator.language || "");
  var box = document.createElement("div");
  box.className = "gate";
  box.setAttribute("role", "alert");
  var title = document.createElement("h1");
  title.appendChild(document.createTextNode(zh ? "浏览器版本过旧" : "This browser is too old"));
  var text = document.createElement("p");
  text.appendChild(
    document.createTextNode(
      zh
        ? "请更新浏览器（Chrome 87、iOS 15 或更新版本），或在手机上更新微信后再打开。"
        : "Please update it (Chrome 87, iOS 15 or newer), or open this link in another browser.",
    )
  );
  box.appendChild(title);
  box.appendChild(text);
  document.body.appendChild(box);
})();
