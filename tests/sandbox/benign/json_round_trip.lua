-- input: {"a": [1, 2.5, null, {}, []], "b": {"c": "é\n"}}
-- output: {"same": true, "kinds": ["integer", "float"]}
function run(input)
  local again = json.decode(json.encode(input))
  return {same = json.encode(again) == json.encode(input), kinds = {math.type(again.a[1]), math.type(again.a[2])}}
end
