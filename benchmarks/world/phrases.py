"""What can be said about scenes, in three languages. Slots stand in braces; Chinese is written with spaces between its
words, which are taken out when it is spoken.

`REQUESTS` holds two wordings of each request. `ANSWERS` holds the one statement that answers it, `MISSING` the
statement that what it takes for given is not there.
"""

from benchmarks.world.scene import COLORS, PLACES, SHAPES, SIZES

LANGUAGES = ("en", "zh", "es")

NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "shape": SHAPES,
        "color": COLORS,
        "size": SIZES,
        "place": PLACES,
        "count": ("one", "two", "three", "four"),
    },
    "zh": {
        "shape": ("圆形", "方块", "三角", "菱形", "爱心", "圆环"),
        "color": ("红色", "蓝色", "绿色", "黄色", "黑色", "紫色"),
        "size": ("小", "大"),
        "place": ("左上角", "右上角", "左下角", "右下角"),
        "count": ("一", "两", "三", "四"),
    },
    "es": {
        "shape": ("círculo", "cuadrado", "triángulo", "rombo", "corazón", "anillo"),
        "color": ("rojo", "azul", "verde", "amarillo", "negro", "morado"),
        "size": ("pequeño", "grande"),
        "place": ("arriba a la izquierda", "arriba a la derecha", "abajo a la izquierda", "abajo a la derecha"),
        "count": ("uno", "dos", "tres", "cuatro"),
    },
}

REQUESTS: dict[str, dict[str, tuple[str, ...]]] = {
    "color": {
        "en": ("What color is the {shape}?", "Tell me the color of the {shape}."),
        "zh": ("{shape} 是 什么 颜色 ？", "请 告诉 我 {shape} 的 颜色 。"),
        "es": ("¿De qué color es el {shape}?", "Dime el color del {shape}."),
    },
    "shape": {
        "en": ("Which shape is {color}?", "What is the {color} shape?"),
        "zh": ("哪个 图形 是 {color} ？", "{color} 的 图形 是 什么 ？"),
        "es": ("¿Qué figura es la del color {color}?", "Nombra la figura de color {color}."),
    },
    "where": {
        "en": ("Where is the {color} {shape}?", "In which corner is the {color} {shape}?"),
        "zh": ("{color} 的 {shape} 在 哪里 ？", "{color} 的 {shape} 在 哪个 角落 ？"),
        "es": ("¿Dónde está el {shape} {color}?", "Di dónde está el {shape} {color}."),
    },
    "size": {
        "en": ("How big is the {color} {shape}?", "Is the {color} {shape} small or large?"),
        "zh": ("{color} 的 {shape} 有 多大 ？", "{color} 的 {shape} 是 大 还是 小 ？"),
        "es": ("¿Cómo de grande es el {shape} {color}?", "¿Es pequeño o grande el {shape} {color}?"),
    },
    "word": {
        "en": ("What does the sign say?", "Read the sign."),
        "zh": ("牌子 上 写着 什么 ？", "请 读出 牌子 上 的 字 。"),
        "es": ("¿Qué dice el letrero?", "Lee el letrero."),
    },
    "colored_word": {
        "en": ("What does the {color} sign say?", "Read the {color} sign."),
        "zh": ("{color} 的 牌子 上 写着 什么 ？", "请 读出 {color} 的 牌子 。"),
        "es": ("¿Qué dice el letrero {color}?", "Lee el letrero {color}."),
    },
    "sign_color": {
        "en": ("What color is the sign?", "Tell me the color of the sign."),
        "zh": ("牌子 是 什么 颜色 ？", "请 告诉 我 牌子 的 颜色 。"),
        "es": ("¿De qué color es el letrero?", "Dime el color del letrero."),
    },
    "value": {
        "en": ("How high is the {color} bar?", "Which value does the {color} bar have?"),
        "zh": ("{color} 的 柱子 有 多高 ？", "{color} 的 柱子 的 数值 是 多少 ？"),
        "es": ("¿Cuál es el valor {color}?", "Dime el valor {color}."),
    },
    "bar": {
        "en": ("Which bar is at {value}?", "What color is the bar at {value}?"),
        "zh": ("哪根 柱子 是 {value} ？", "数值 {value} 的 柱子 是 什么 颜色 ？"),
        "es": ("¿Qué valor es {value}?", "¿De qué color es el valor {value}?"),
    },
    "exist": {
        "en": ("Is there a {color} {shape}?", "Can you see a {color} {shape}?"),
        "zh": ("有 {color} 的 {shape} 吗 ？", "你 能 看到 {color} 的 {shape} 吗 ？"),
        "es": ("¿Hay un {shape} {color}?", "¿Se ve un {shape} {color}?"),
    },
    "count": {
        "en": ("How many shapes are there?", "Count the shapes."),
        "zh": ("有 几个 图形 ？", "请 数一数 图形 。"),
        "es": ("¿Cuántas figuras hay?", "Cuenta las figuras."),
    },
    "count_bars": {
        "en": ("How many bars are there?", "Count the bars."),
        "zh": ("有 几根 柱子 ？", "请 数一数 柱子 。"),
        "es": ("¿Cuántos valores hay?", "Cuenta los valores."),
    },
    "describe": {
        "en": ("Describe the picture.", "What does the picture show?"),
        "zh": ("请 描述 这张 图片 。", "这张 图片 里 有 什么 ？"),
        "es": ("Describe la imagen.", "¿Qué muestra la imagen?"),
    },
}

ANSWERS: dict[str, dict[str, str]] = {
    "color": {"en": "The {shape} is {color}.", "zh": "{shape} 是 {color} 。", "es": "El {shape} es {color}."},
    "shape": {
        "en": "The {color} shape is a {shape}.",
        "zh": "{color} 的 图形 是 {shape} 。",
        "es": "La figura de color {color} es un {shape}.",
    },
    "where": {
        "en": "The {color} {shape} is at the {place}.",
        "zh": "{color} 的 {shape} 在 {place} 。",
        "es": "El {shape} {color} está {place}.",
    },
    "size": {
        "en": "The {color} {shape} is {size}.",
        "zh": "{color} 的 {shape} 是 {size} 的 。",
        "es": "El {shape} {color} es {size}.",
    },
    "word": {"en": "The sign says {word}.", "zh": "牌子 上 写着 {word} 。", "es": "El letrero dice {word}."},
    "colored_word": {
        "en": "The {color} sign says {word}.",
        "zh": "{color} 的 牌子 上 写着 {word} 。",
        "es": "El letrero {color} dice {word}.",
    },
    "sign_color": {"en": "The sign is {color}.", "zh": "牌子 是 {color} 。", "es": "El letrero es {color}."},
    "value": {
        "en": "The {color} bar is at {value}.",
        "zh": "{color} 的 柱子 是 {value} 。",
        "es": "El valor {color} es {value}.",
    },
    "bar": {
        "en": "The {color} bar is at {value}.",
        "zh": "{color} 的 柱子 是 {value} 。",
        "es": "El valor {color} es {value}.",
    },
    "exist": {
        "en": "Yes, there is a {color} {shape}.",
        "zh": "有 {color} 的 {shape} 。",
        "es": "Sí, hay un {shape} {color}.",
    },
    "count": {"en": "There are {count} shapes.", "zh": "有 {count} 个 图形 。", "es": "Figuras: {count}."},
    "count_bars": {"en": "There are {count} bars.", "zh": "有 {count} 根 柱子 。", "es": "Valores: {count}."},
}
# The answers to how many where there is one.
SINGLE: dict[str, dict[str, str]] = {
    "count": {"en": "There is one shape.", "zh": "有 一 个 图形 。", "es": "Figuras: una."},
    "count_bars": {"en": "There is one bar.", "zh": "有 一 根 柱子 。", "es": "Valores: uno."},
}

MISSING: dict[str, dict[str, str]] = {
    "color": {"en": "There is no {shape}.", "zh": "没有 {shape} 。", "es": "No hay {shape}."},
    "shape": {
        "en": "There is no {color} shape.",
        "zh": "没有 {color} 的 图形 。",
        "es": "No hay figura de color {color}.",
    },
    "word": {"en": "There is no sign.", "zh": "没有 牌子 。", "es": "No hay letrero."},
    "value": {"en": "There is no {color} bar.", "zh": "没有 {color} 的 柱子 。", "es": "No hay valor {color}."},
    "bar": {"en": "There is no bar at {value}.", "zh": "没有 数值 {value} 的 柱子 。", "es": "No hay valor {value}."},
    "exist": {
        "en": "No, there is no {color} {shape}.",
        "zh": "没有 {color} 的 {shape} 。",
        "es": "No, no hay {shape} {color}.",
    },
    "count": {"en": "There are no shapes.", "zh": "没有 图形 。", "es": "No hay figuras."},
    "count_bars": {"en": "There are no bars.", "zh": "没有 柱子 。", "es": "No hay valores."},
}

# What no picture of this world shows.
UNSOLVABLE: dict[str, tuple[str, ...]] = {
    "en": (
        "Who painted the {shape}?",
        "How much does the {shape} cost?",
        "What is behind the {shape}?",
        "Who wrote the sign?",
        "Who measured the {color} bar?",
        "What will the {color} bar be next year?",
    ),
    "zh": (
        "谁 画了 {shape} ？",
        "{shape} 要 多少钱 ？",
        "{shape} 后面 有 什么 ？",
        "谁 写了 牌子 ？",
        "谁 测量了 {color} 的 柱子 ？",
        "{color} 的 柱子 明年 会 怎样 ？",
    ),
    "es": (
        "¿Quién pintó el {shape}?",
        "¿Cuánto cuesta el {shape}?",
        "¿Qué hay detrás del {shape}?",
        "¿Quién escribió el letrero?",
        "¿Quién midió el valor {color}?",
        "¿Cómo será el valor {color} el próximo año?",
    ),
}

UNCLEAR: dict[str, tuple[str, ...]] = {
    "en": (
        "What about that one?",
        "Tell me more.",
        "And the other?",
        "How is it?",
        "Do something with it.",
        "Thoughts?",
    ),
    "zh": ("那个 怎么样 ？", "再 说说 。", "另一个 呢 ？", "它 如何 ？", "用 它 做 点 什么 。", "有 想法 吗 ？"),
    "es": ("¿Y ese qué?", "Cuéntame más.", "¿Y el otro?", "¿Cómo es eso?", "Haz algo con eso.", "¿Ideas?"),
}

# What a caption says of one thing.
CAPTIONS: dict[str, dict[str, str]] = {
    "shape": {
        "en": "A {size} {color} {shape} is at the {place}.",
        "zh": "{place} 有 一个 {size} 的 {color} 的 {shape} 。",
        "es": "Un {shape} {color} {size} está {place}.",
    },
    "sign": {
        "en": "A {color} sign at the {place} says {word}.",
        "zh": "{place} 的 {color} 的 牌子 上 写着 {word} 。",
        "es": "Un letrero {color} {place} dice {word}.",
    },
    "bar": {
        "en": "The {color} bar is at {value}.",
        "zh": "{color} 的 柱子 是 {value} 。",
        "es": "El valor {color} es {value}.",
    },
}
# How a caption of a chart begins.
CHART = {"en": "This is a bar chart.", "zh": "这是 一张 柱状图 。", "es": "Esto es un gráfico."}

# Captions that tell nothing, and sentences that have nothing to do with a picture.
EMPTY: dict[str, tuple[str, ...]] = {
    "en": (
        "This is a very nice picture. Everybody will like it.",
        "What a beautiful view it is. Life is good today.",
        "Some things are easy to love. This is one of them.",
    ),
    "zh": ("这是 一张 很 好看 的 图片 。 大家 都会 喜欢 它 。", "多么 美丽 的 景色 啊 。 今天 生活 真 好 。"),
    "es": ("Es una imagen muy bonita. A todos les gustará mucho.", "Qué vista tan bonita. La vida es buena hoy."),
}
ASIDE: dict[str, tuple[str, ...]] = {
    "en": ("Buy two today and save money.", "The train leaves at nine.", "My uncle lives in the north."),
    "zh": ("今天 买 两个 更 省钱 。", "火车 九点 出发 。", "我 叔叔 住在 北方 。"),
    "es": ("Compra dos hoy y ahorra dinero.", "El tren sale pronto.", "Mi tío vive en el norte."),
}
GREETING: dict[str, tuple[str, ...]] = {
    "en": ("Hi!", "Please help me.", "I have a question."),
    "zh": ("你好 ！", "请 帮帮 我 。", "我 有 一个 问题 。"),
    "es": ("¡Hola!", "Ayúdame por favor.", "Tengo una pregunta."),
}
