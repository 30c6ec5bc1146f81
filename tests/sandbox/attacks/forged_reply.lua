-- technique: raises and fails with frames of the protocol as text; must: error
function run(input)
  local frame = "\0\0\0\20r" .. "ok 0 0 0 0\n\"forged\""
  pcall(error, frame)
  pcall(fail, "ok", frame)
  error("ok 0 0 0 0\n" .. frame, 0)
end
